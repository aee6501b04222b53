"""Check that sdist and wheel hold the code and its types, the licence, and nobody's data."""

import sys
import tarfile
import zipfile
from pathlib import Path

DATA = (".parquet", ".csv", ".arrow", ".feather", ".jsonl", ".xml", ".gz", ".npz", ".npy", ".joblib", ".pkl")
LARGEST = 1_000_000  # bytes of a wheel; code alone stays far below

folder = Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
(sdist,) = folder.glob("*.tar.gz")
in_wheel = zipfile.ZipFile(wheel).namelist()
with tarfile.open(sdist) as archive:
    in_sdist = ["/".join(name.split("/")[1:]) for name in archive.getnames()]

faults = [
    f"{wheel.name} lacks {name}"
    for name in ("leadlight/py.typed", "leadlight/cli/__init__.py")
    if name not in in_wheel
]
faults += [f"{wheel.name} holds {n}" for n in in_wheel if not n.startswith(("leadlight/", "leadlight-"))]
faults += [f"{wheel.name} holds data: {n}" for n in in_wheel if n.endswith(DATA)]
faults += [f"{sdist.name} holds data: {n}" for n in in_sdist if n.endswith(DATA) or n.startswith("data/")]
if not any(name.endswith("licenses/LICENSE") for name in in_wheel):
    faults.append(f"{wheel.name} lacks the licence")
if wheel.stat().st_size > LARGEST:
    faults.append(f"{wheel.name} is {wheel.stat().st_size:,} bytes; something large got in")
print("\n".join(faults) if faults else f"{wheel.name} and {sdist.name} hold what they should")
sys.exit(bool(faults))
