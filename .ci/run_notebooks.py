"""Run notebooks from top to bottom; a failing cell, a slow notebook, a function or an output kept in git is a fault.

The notebooks on disk are not changed. With --out FOLDER the executed ones are written there, as pages of the site: it is
beside the notebooks' own folder in name only, so their links to ../docs become links of the site.
"""

import argparse
import ast
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

LIMIT_S = 60


def functions(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the names of functions and classes that cells define; they belong in the package."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    plain = [
        "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))) for source in code
    ]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for source in plain for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def kept(notebook: nbformat.NotebookNode) -> bool:
    """Whether a cell holds an output or the count of its last run."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return any(cell.outputs or cell.execution_count is not None for cell in code)


def faults(path: Path, out: Path | None) -> list[str]:
    """Run one notebook and return what is wrong with it."""
    notebook = nbformat.read(path, as_version=4)
    found = [f"{path}: defines {name}" for name in functions(notebook)]
    if kept(notebook):
        found.append(f"{path}: holds outputs; clear them before the commit")
    began = time.monotonic()
    try:
        NotebookClient(
            notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return [*found, f"{path}: {error}"]
    seconds = time.monotonic() - began
    print(f"{path}: {seconds:.0f} s", flush=True)
    if seconds > LIMIT_S:
        found.append(f"{path}: took {seconds:.0f} s, more than {LIMIT_S}")
    if out is not None:
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"\]\(\.\./docs/", "](../", cell.source)
        nbformat.write(notebook, out / path.name)
    return found


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folders", nargs="+", type=Path, help="folders of notebooks")
parser.add_argument("--out", type=Path, help="folder for the executed notebooks; emptied first")
arguments = parser.parse_args()
if arguments.out is not None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    for old in arguments.out.glob("*.ipynb"):
        old.unlink()
notebooks = sorted(path for folder in arguments.folders for path in folder.glob("*.ipynb"))
wrong = [fault for path in notebooks for fault in faults(path, arguments.out)]
print("\n".join(wrong) if wrong else f"{len(notebooks)} notebooks ran")
sys.exit(bool(wrong))
