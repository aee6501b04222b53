"""Run notebooks from top to bottom; a failing cell, a slow notebook or a function defined in a cell is a fault.

The notebooks on disk are not changed, unless --save asks for fresh outputs.
"""

import ast
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

LIMIT_S = 60


def functions(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the names of functions and classes that cells define; they belong in the package."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    plain = [
        "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))) for source in code
    ]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for source in plain for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def faults(path: Path, save: bool) -> list[str]:
    """Run one notebook and return what is wrong with it."""
    notebook = nbformat.read(path, as_version=4)
    found = [f"{path}: defines {name}" for name in functions(notebook)]
    began = time.monotonic()
    try:
        NotebookClient(
            notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
    except (CellExecutionError, CellTimeoutError) as error:
        return [*found, f"{path}: {error}"]
    seconds = time.monotonic() - began
    print(f"{path}: {seconds:.0f} s")
    if seconds > LIMIT_S:
        found.append(f"{path}: took {seconds:.0f} s, more than {LIMIT_S}")
    if save:
        nbformat.write(notebook, path)
    return found


arguments = [argument for argument in sys.argv[1:] if argument != "--save"]
notebooks = sorted(path for folder in arguments for path in Path(folder).glob("*.ipynb"))
wrong = [fault for path in notebooks for fault in faults(path, save="--save" in sys.argv)]
print("\n".join(wrong) if wrong else f"{len(notebooks)} notebooks ran")
sys.exit(bool(wrong))
