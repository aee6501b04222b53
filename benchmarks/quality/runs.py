"""Run learners in processes of their own, one draw each, and keep what they predicted: a run that was broken off goes on."""

import hashlib
import inspect
import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from quality import environments
from quality.case import BUILD, Draw, learner_code
from quality.learners import LEARNERS, Task

PROGRAM = Path(__file__).with_name("learners.py")
PATIENCE = 3_600.0
"""Seconds after which a fit counts as failed, whatever its budget."""


@dataclass(frozen=True)
class Contestant:
    """A learner, and for those that search their budget in seconds: a number, or 0 for the time that our fit took."""

    name: str
    learner: str
    seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """What became of one fit: seconds and versions, or why it failed."""

    key: str
    draw: str
    contestant: str
    cpu: float = float("nan")
    wall: float = float("nan")
    versions: str = ""
    failed: str = ""

    @property
    def predictions(self) -> Path:
        return BUILD / "predictions" / f"{self.key}.parquet"

    def probability(self) -> pd.Series:
        """Return the predicted probability of each test row."""
        return pd.read_parquet(self.predictions)["probability"]


class Runs:
    """All fits so far, a line of JSON each; failed ones count as done unless `retry`."""

    def __init__(self, threads: int, say: Callable[[str], None], *, retry: bool = False) -> None:
        self.threads, self.say = threads, say
        self.file = BUILD / "runs.jsonl"
        (BUILD / "predictions").mkdir(parents=True, exist_ok=True)
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        self.done = {run.key: run for run in (Run(**json.loads(line)) for line in lines)}
        if retry:
            self.done = {key: run for key, run in self.done.items() if not run.failed}
        self.code = learner_code()
        self.broken: dict[str, str] = {}

    def get(self, draw: Draw, contestant: Contestant) -> Run:
        """Return the run of a contestant on a draw, made now where there is none of this version."""
        seconds, budget = contestant.seconds, str(contestant.seconds)
        if seconds == 0:
            ours = self.get(draw, Contestant(environments.OURS, environments.OURS))
            seconds = max(ours.wall, 1.0)
            budget = f"as ours {self.code}"
        key = self._key(draw, contestant.learner, budget)
        known = self.done.get(key)
        if known is not None and (known.failed or known.predictions.exists()):
            return known
        run = self._run(key, draw, contestant, seconds)
        if not run.failed.startswith("not installed"):
            self.done[key] = run
            with self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(run)) + "\n")
        return run

    def _key(self, draw: Draw, learner: str, budget: str) -> str:
        version = self.code if learner == environments.OURS else environments.pins(learner)
        sources = (inspect.getsource(Task), inspect.getsource(LEARNERS[learner][0]))
        parts = (draw.digest(), learner, budget, version, *sources, str(self.threads))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]

    def _run(self, key: str, draw: Draw, contestant: Contestant, seconds: float | None) -> Run:
        label = f"{draw.table.folder.parent.name}/{draw.table.folder.name}/{draw.name}"
        run = Run(key, label, contestant.name)
        environment = environments.environment(contestant.learner)
        if environment in self.broken:
            return Run(key, label, contestant.name, failed=self.broken[environment])
        try:
            python = environments.python_for(contestant.learner)
        except (OSError, subprocess.CalledProcessError) as error:
            self.broken[environment] = f"not installed: {_last_line(error)}"
            return Run(key, label, contestant.name, failed=self.broken[environment])
        command = [
            str(python),
            str(PROGRAM),
            contestant.learner,
            str(draw.table.folder),
            str(draw.rows),
            str(run.predictions),
            str(self.threads),
            str(seconds or 0.0),
        ]
        self.say(f"{label}: {contestant.name}")
        try:
            found = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=PATIENCE, cwd=BUILD
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return Run(key, label, contestant.name, failed=_last_line(error))
        printed = json.loads(found.stdout.splitlines()[-1])
        versions = " ".join(f"{name} {number}" for name, number in printed["versions"].items())
        return Run(key, label, contestant.name, printed["cpu"], printed["wall"], versions)


def _last_line(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    text = text.decode() if isinstance(text, bytes) else text
    return text.strip().splitlines()[-1]
