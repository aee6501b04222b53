"""Check that sdist and wheel hold the code and its types, the kernels, the licence, and nobody's data."""

import shutil
import sys
import sysconfig
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
    for name in ("leadlight/py.typed", "leadlight/cli/__init__.py", "leadlight/kernels/_native.pyi")
    if name not in in_wheel
]
faults += [f"{wheel.name} holds {n}" for n in in_wheel if not n.startswith(("leadlight/", "leadlight-"))]
faults += [f"{wheel.name} holds data: {n}" for n in in_wheel if n.endswith(DATA)]
faults += [f"{sdist.name} holds data: {n}" for n in in_sdist if n.endswith(DATA) or n.startswith("data/")]
faults += [f"{wheel.name} holds C: {n}" for n in in_wheel if n.endswith((".c", ".h"))]
faults += [
    f"{sdist.name} lacks {name}"
    for name in (
        "setup.py",
        *(
            f"src/leadlight/kernels/csrc/{part}"
            for part in (
                "linear.c",
                "module.c",
                "native.h",
                "sweep.c",
                "trees.c",
                "tree_shap.c",
                "text.c",
                "tree_shap_lanes.h",
            )
        ),
    )
    if name not in in_sdist
]
# One binary for all Pythons; without a compiler or headers there is none, and the NumPy reference does the work.
compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
can_build = shutil.which(compiler) and (Path(sysconfig.get_paths()["include"]) / "Python.h").exists()
if can_build and not any(n.startswith("leadlight/kernels/_native.") and n.endswith(".so") for n in in_wheel):
    faults.append(f"{wheel.name} lacks the native kernels, although {compiler} and Python.h are here")
if "-abi3-" not in wheel.name:
    faults.append(f"{wheel.name} is for one version of Python; its tag should say abi3")
if not any(name.endswith("licenses/LICENSE") for name in in_wheel):
    faults.append(f"{wheel.name} lacks the licence")
if wheel.stat().st_size > LARGEST:
    faults.append(f"{wheel.name} is {wheel.stat().st_size:,} bytes; something large got in")
print("\n".join(faults) if faults else f"{wheel.name} and {sdist.name} hold what they should")
sys.exit(bool(faults))
