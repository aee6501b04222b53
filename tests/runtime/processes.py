"""What a process of its own is needed for: saves that are killed, savers side by side, children that answer, memory that stays.

    python -m tests.runtime.processes killed OLD NEW TARGET --times 100

A fresh process, and not that of the tests: it may fork, for it has one thread, and its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from leadlight.runtime import Scorer, load

EVENTS = [{"occurred_at": "2024-03-01T10:00:00", "action": "question", "tags": ["visa"]}]
AT = "2024-04-01"


def killed(old: Scorer, new: Scorer, target: Path, times: int) -> dict[str, int]:
    """Kill children with SIGKILL while they save one after the other; count what was found each time."""
    counts = {"old": 0, "new": 0, "strays": 0, "aside": 0}
    old.save(target)
    start = time.perf_counter()
    new.save(target)
    once = time.perf_counter() - start
    chance = random.Random(0)
    for _ in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, b"!")
            while True:
                old.save(target)
                new.save(target)
        os.read(reading, 1)
        # The child never stops by itself: whatever this machine is busy with, it is killed in the middle.
        time.sleep(chance.random() * 8 * once)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
        left = [path.name for path in target.parent.iterdir() if path.name.startswith(f".{target.name}.")]
        counts["aside"] += not target.exists()
        counts["strays"] += any(not name.endswith(".previous") for name in left)
        counts["old" if load(target).digest == old.digest else "new"] += 1
        if load(target).digest not in (old.digest, new.digest):
            raise SystemExit("neither the old bundle nor the new one")
    new.save(target)
    if [path.name for path in target.parent.iterdir()] != [target.name]:
        raise SystemExit(f"left behind: {sorted(target.parent.iterdir())}")
    return counts


def beside(old: Scorer, new: Scorer, target: Path, times: int) -> dict[str, int]:
    """Let four children save to one place while this process reads it; count the reads."""
    old.save(target)
    children = []
    for i in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for j in range(times):
                    (old if (i + j) % 2 else new).save(target)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    reads, failed = 0, 0
    while children:
        if load(target).digest not in (old.digest, new.digest):
            raise SystemExit("neither the old bundle nor the new one")
        reads += 1
        ended = [os.waitpid(child, os.WNOHANG) for child in children]
        failed += sum(status != 0 for child, status in ended if child)
        children = [child for child in children if child not in dict(ended)]
    return {"reads": reads, "failed": failed}


def answers(scorer: Scorer) -> list[object]:
    """Return what a process says of a few members and rows."""
    X = np.random.default_rng(0).exponential(3, (500, len(scorer.columns)))
    some = [scorer.predict(events, at=AT).to_dict() for events in ([], EVENTS)]
    return [some, scorer.predict_proba(X)[:, 1].tolist(), scorer.explain_rows(X[:20])[0].tolist()]


def answer_into(scorer: Scorer, pipe: object) -> None:
    """Answer from a child of `multiprocessing`."""
    pipe.send(answers(scorer))
    pipe.close()


def children(scorer: Scorer) -> dict[str, bool]:
    """Compare the answers of forked and spawned children with this process's, after threads have worked in it."""
    own = answers(scorer)
    with ThreadPoolExecutor(8) as pool:
        found = {"threads": all(part == own for part in pool.map(answers, [scorer] * 16))}
        for method in ("fork", "spawn"):
            context = multiprocessing.get_context(method)
            reading, writing = context.Pipe(duplex=False)
            child = context.Process(target=answer_into, args=(scorer, writing))
            child.start()
            found[method] = reading.poll(60) and reading.recv() == own
            child.join(60)
            found[f"{method} ended"] = child.exitcode == 0
    return found


def growth(scorer: Scorer, times: int) -> dict[str, float]:
    """Predict so many times, always of something new, and measure what the process grows by after a tenth as many."""
    width = len(scorer.columns)
    rows = np.random.default_rng(0).exponential(3, (1_000, 1, width))

    def megabytes() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / (1 << 20)

    def predict(n: int) -> None:
        for i in range(n):
            if i % 10 < 8:
                scorer.predict_proba(rows[i % 1_000])
                continue
            event = {"occurred_at": 1_700_000_000_000_000 + i, "action": f"action {i}", "tags": [f"tag {i}"]}
            member = {"member_id": f"member {i}"}
            scorer.predict([event, EVENTS[0]], member, at=AT, reasons=3 if i % 40 == 9 else 0)

    predict(max(times // 10, 2_000))
    before = megabytes()
    predict(times)
    return {"grown_mb": megabytes() - before}


def main() -> None:
    """Do one of them and print what was counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("killed", "beside", "children", "growth"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--times", type=int, default=10)
    asked = parser.parse_args()
    scorers = [load(path) for path in asked.paths[:2]]
    if asked.what in ("killed", "beside"):
        work = killed if asked.what == "killed" else beside
        found = work(*scorers, asked.paths[2], asked.times)
    elif asked.what == "children":
        found = children(scorers[0])
    else:
        found = growth(scorers[0], asked.times)
    print(json.dumps(found))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
