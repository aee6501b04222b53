"""Write the benchmarks page of the documentation from what benchmarks printed.

Run: make bench, or python benchmarks/page.py build/bench docs/benchmarks.md. Each file of the folder is the output of one benchmark;
its date is that of the file. Sections of the page whose benchmark did not run this time stay as they were, with their own dates.
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

HEAD = """# Benchmarks

Printed by the benchmarks of the repository, which `make bench` runs in their shorter forms, and pasted by `benchmarks/page.py`: figures
as they are, those that missed their mark too. Each section says when and on which machine. How it is measured, and what the rivals do: [benchmarks](../benchmarks/README.md). Shared machines are
noisy: ratios in one run say more than seconds.
"""
SECTION = re.compile(r"^## `(\w+\.py)`\n.*?(?=^## `|\Z)", re.DOTALL | re.MULTILINE)


def section(output: Path) -> str:
    """Return the section of one benchmark."""
    at = datetime.fromtimestamp(output.stat().st_mtime, UTC)
    text = output.read_text(encoding="utf-8").strip()
    title = (
        (Path(__file__).parent / f"{output.stem}.py")
        .read_text(encoding="utf-8")
        .split('"""')[1]
        .strip()
        .split("\n")[0]
    )
    return f"## `{output.stem}.py`\n\n{title}\n\n*{at:%Y-%m-%d}*\n\n{text}\n"


def main(folder: Path, page: Path) -> None:
    """Put new sections in their places."""
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = {match[1]: match[0].strip() + "\n" for match in SECTION.finditer(old)}
    for output in sorted(folder.glob("bench_*.md")):
        if output.read_text(encoding="utf-8").strip():
            sections[f"{output.stem}.py"] = section(output)
    page.write_text("\n".join([HEAD, *(sections[name] for name in sorted(sections))]), encoding="utf-8")
    print(f"{page}: {len(sections)} benchmarks")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
