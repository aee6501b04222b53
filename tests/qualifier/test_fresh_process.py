"""Equal data and settings give equal bytes, whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import leadlight

PROGRAM = """
import sys, warnings
import leadlight as ll
warnings.simplefilter("ignore")
community, _ = ll.simulate_community(members=400, weeks=60, seed=5)
catalogue = ll.Catalogue([ll.Behaviour("reads", (ll.Count("view", window=("30d", "all")), ll.Recency("view")), reason="read")])
rows = ll.observe(community, every="60d")
rows.frame["label"] = (rows.frame["member_id"] % 7 == 0).astype("int8")
classifier = ll.LeadClassifier(n_folds=2, n_jobs=int(sys.argv[2]))
ll.LeadQualifier(catalogue, classifier).fit(community, rows).save(sys.argv[1])
"""


def process(folder: Path, hashes: str, zone: str, n_jobs: int) -> subprocess.Popen[str]:
    """Begin to fit and save in a process of its own."""
    source = str(Path(leadlight.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(n_jobs)],
        env={**os.environ, "PYTHONHASHSEED": hashes, "TZ": zone, "PYTHONPATH": source},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_fresh_process_saves_the_same_bytes(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    begun = [process(folders[0], "1", "Asia/Tokyo", 1), process(folders[1], "2", "UTC", 2)]
    for each in begun:
        _, said = each.communicate()
        assert each.returncode == 0, said
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert "manifest.json" in first
    assert first == second
