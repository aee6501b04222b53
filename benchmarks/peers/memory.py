"""A large log in a process of its own: how much memory it takes to turn it into features. Prints JSON.

Usage: python memory.py EVENTS MEMBERS. The log is made directly in its encoded form, its small codes in a byte each; one
cutoff for each member, at the end of the log; the plan of 300 columns. The peak includes the log and the result.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    # This file is a program: the folder above its own holds the package that it is part of.
    sys.path.insert(0, str(Path(__file__).parents[1]))

from peers import community_log, measure
from peers.cases import SEED, Case, full_plan


def main(events: int, members: int) -> None:
    case = Case(events, members, 1, Path())
    chunks = community_log.draw_chunks(events, case.people, SEED)
    case.holding(community_log.encode(chunks, events, np.int8))
    loaded = measure.peak_rss_gb()
    call = case.ours(full_plan())
    cpu, wall = measure.cpu_seconds(), time.perf_counter()
    out = call()
    cpu, wall = measure.cpu_seconds() - cpu, time.perf_counter() - wall
    found = {"cpu": cpu, "wall": wall, "log_gb": loaded, "peak_gb": measure.peak_rss_gb(), "rows": len(out)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
