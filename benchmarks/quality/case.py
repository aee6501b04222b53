"""What is given to a learner and what it is judged by, kept as Parquet so that programs of any environment can read it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "quality"
JUDGED_BY = ("estimators", "evaluation", "explain", "qualifier", "tracking", "cli")
"""Rooms that make no feature and no label: changing them leaves the tables as they are."""


@dataclass(frozen=True)
class Rows:
    """Features with one outcome, account and time for each row, and a weight where they train.

    Attributes
    ----------
    X : DataFrame
        Numbers (NaN is missing) and text.
    y : array of shape (n,)
        0 or 1: the label where they train, what is scored where they judge.
    group : array of shape (n,), or None
        Account, or the member who has none; None where nothing repeats.
    time : array of shape (n,), or None
        Any increasing number.
    weight : array of shape (n,), or None
    """

    X: pd.DataFrame
    y: np.ndarray
    group: np.ndarray | None = None
    time: np.ndarray | None = None
    weight: np.ndarray | None = None

    def outcome(self) -> pd.DataFrame:
        """Return everything but the features; rows without a group are their own."""
        n = len(self.X)
        given = {"group": self.group, "time": self.time, "weight": self.weight}
        kept = {name: values for name, values in given.items() if values is not None}
        return pd.DataFrame({"position": np.arange(n), "label": np.asarray(self.y, np.int8), **kept})


class Table:
    """Training and test rows in a folder; `draw` saves a choice of the training rows as a task of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def write(cls, folder: Path, train: Rows, test: Rows) -> "Table":
        """Save both parts."""
        folder.mkdir(parents=True, exist_ok=True)
        train.X.reset_index(drop=True).to_parquet(folder / "train.parquet")
        test.X.reset_index(drop=True).to_parquet(folder / "test.parquet")
        truth = test.outcome()
        if test.group is None:
            truth["group"] = truth["position"]
        truth["group"] = truth["group"].astype(str)
        truth.to_parquet(folder / "truth.parquet")
        return cls(folder)

    def draw(self, name: str, outcome: pd.DataFrame) -> None:
        """Save the rows to train on: position in the training table, label, and group, time, weight where there are."""
        outcome.reset_index(drop=True).to_parquet(self.folder / f"draw {name}.parquet")

    def truth(self) -> pd.DataFrame:
        """Return label and group of the test rows."""
        return pd.read_parquet(self.folder / "truth.parquet", columns=["label", "group"])


@dataclass(frozen=True)
class Draw:
    """One fit: the rows to train on, of one table."""

    table: Table
    name: str

    @property
    def rows(self) -> Path:
        """Return the file of the training rows."""
        return self.table.folder / f"draw {self.name}.parquet"

    def digest(self) -> str:
        """Return a name for everything that a learner sees of this draw."""
        found = hashlib.sha256()
        for path in (self.table.folder / "train.parquet", self.table.folder / "test.parquet", self.rows):
            found.update(hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Case:
    """One line of the summary: the mean over some draws.

    Attributes
    ----------
    name : str
    scored : str
        What the test rows are scored on.
    draws : tuple of Draw
    """

    name: str
    scored: str
    draws: tuple[Draw, ...]

    def counts(self) -> str:
        """Return rows and positives, on average over the draws."""
        train = [pd.read_parquet(d.rows, columns=["label"])["label"] for d in self.draws]
        test = [d.table.truth() for d in self.draws]
        rows, won = np.mean([[len(y), y.sum()] for y in train], axis=0)
        later, buy = np.mean([[len(t), t["label"].sum()] for t in test], axis=0)
        accounts = np.mean([t.loc[t["label"] == 1, "group"].nunique() for t in test])
        several = "" if len(self.draws) == 1 else f"; means of {len(self.draws)} draws"
        return (
            f"{rows:,.0f} rows to train on, {won:,.0f} positive; judged on {later:,.0f} rows, {buy:,.0f} positive, of "
            f"{accounts:,.0f} accounts, members or leads; {self.scored}{several}"
        )


class Source:
    """Something that cases are made of. `period` is "validation" (to develop with) or "judge" (once, at the end)."""

    name = ""

    def absent(self) -> str | None:
        """Return why the data are not there, None where they are."""
        return None

    def case_names(self, period: str) -> list[str]:
        """Return the names of the cases."""
        raise NotImplementedError

    def write(self, period: str, folder: Path, wanted: Iterable[str]) -> list[Case]:
        """Make the tables and return the wanted cases."""
        raise NotImplementedError

    def prepare(self, period: str, wanted: list[str], say: Callable[[str], None]) -> list[Case]:
        """Return the wanted cases, from the tables of an earlier run where the code that made them is the same."""
        folder = BUILD / "tables" / f"{self.name} {period}"
        made_by = json.dumps({"code": feature_code(), "cases": wanted})
        stamp = folder / "made-by.json"
        if stamp.exists() and json.loads(stamp.read_text())["made by"] == made_by:
            saved = json.loads(stamp.read_text())["cases"]
            return [
                Case(
                    name,
                    scored,
                    tuple(Draw(Table(folder / table), draw) for table, draw in draws),
                )
                for name, scored, draws in saved
            ]
        say(f"making the tables of {self.name}")
        shutil.rmtree(folder, ignore_errors=True)
        cases = self.write(period, folder, wanted)
        listed = [
            (c.name, c.scored, [(str(d.table.folder.relative_to(folder)), d.name) for d in c.draws])
            for c in cases
        ]
        stamp.write_text(json.dumps({"made by": made_by, "cases": listed}))
        return cases


def feature_code() -> str:
    """Return a digest of all code that decides what features and labels are, this folder's included."""
    package = _package()
    files = [p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in JUDGED_BY]
    here = [Path(__file__), *(Path(__file__).with_name(n) for n in ("communities.py", "lead_tables.py"))]
    return _digest([*files, *here])


def learner_code() -> str:
    """Return a digest of the code that fits and predicts."""
    rooms = [_package() / room for room in ("estimators", "kernels", "runtime")]
    return _digest([p for room in rooms for p in room.rglob("*.py")])


def all_code(program: str) -> str:
    """Return a digest of the package and of one program that uses it."""
    return _digest([*_package().rglob("*.py"), Path(program)])


def _package() -> Path:
    import leadlight

    return Path(leadlight.__file__).parent


def _digest(files: list[Path]) -> str:
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]
