"""The compiled plan: what a catalogue becomes on a training period. Plain data, JSON, a hash.

A plan is all that the sweep needs to turn an activity log into features: *keys* (which rows are counted), *columns* (what
is computed from the counts, in output order), vocabularies, and for each behaviour the sentence that a salesperson reads.
It holds no callable, no clock and nothing of a member.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

from leadlight.errors import BundleError

PLAN_FORMAT: Final = 1

SIDES: Final = ("given", "received")
ATTRIBUTES: Final = ("tag", "group", "role", "job_function", "same_domain", "field")
OPERATIONS: Final = (
    "count",
    "sum_duration",
    "recency",
    "first_time",
    "trend",
    "ratio",
    "distinct",
    "entropy",
    "visits",
    "visits_per_month",
    "last_visit",
    "completeness",
    "surprise",
    "peers",
    "tenure",
)
LONGEST_US: Final = 10**17
"""Windows stay below this, so that twice one and a time still fit an int64."""

_WINDOWED: Final = frozenset(
    (
        "count",
        "sum_duration",
        "first_time",
        "trend",
        "ratio",
        "distinct",
        "entropy",
        "visits",
        "surprise",
        "peers",
    )
)
_OF_ONE_KEY: Final = ("recency", "sum_duration", "surprise")


@dataclass(frozen=True)
class Key:
    """Which rows of the log are counted: a conjunction of at most three conditions.

    Attributes
    ----------
    action : str or None
        The verb; None counts every action of this side.
    side : {"given", "received"}
        "given": rows whose `member_id` is the member. "received": rows whose `other_member_id` is.
    attribute : str or None
        One of `ATTRIBUTES`, compared with `value`.
    value : str or None
        The vocabulary entry that `attribute` must hold ("yes" for "same_domain").
    """

    action: str | None = None
    side: str = "given"
    attribute: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Column:
    """One output column: an operation over keys and windows.

    Attributes
    ----------
    name : str
        Column name, ends in its window or unit.
    operation : str
        One of `OPERATIONS`.
    keys : tuple of int
        Positions in `Plan.keys`; "ratio" takes two groups split at `split`.
    windows : tuple of int
        Window lengths in microseconds, `ALL` for everything before the cutoff.
    split : int
        For "ratio": the first `split` keys and the first window make the numerator.
    """

    name: str
    operation: str
    keys: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    split: int = 0


@dataclass(frozen=True)
class HandSetPoints:
    """What a marketer would give for a behaviour before any deal has taught better.

    Attributes
    ----------
    each : float
        Points per unit.
    units : tuple of (str, float)
        Plan columns and weights; their weighted sum is the number of units. Weights on nested windows make it decay:
        a row counts fully while it is in all of them and less as it leaves the shorter ones.
    cap : float
        Units beyond this earn nothing more.
    """

    each: float
    units: tuple[tuple[str, float], ...]
    cap: float

    def __post_init__(self) -> None:
        # 4 and 4.0 are one number and two texts: the digest needs one.
        object.__setattr__(self, "each", float(self.each))
        object.__setattr__(self, "cap", float(self.cap))
        object.__setattr__(self, "units", tuple((c, float(w)) for c, w in self.units))


@dataclass(frozen=True)
class PlannedBehaviour:
    """A behaviour as the plan keeps it: its columns, its sentences, its hand-set points.

    Attributes
    ----------
    name : str
        The behaviour in the words of a salesperson.
    columns : tuple of str
        The plan columns that measure it.
    reasons : tuple of str
        Sentence templates; placeholders name plan columns only.
    points : HandSetPoints or None
        Used by the points baseline, and by a community before its first deal.
    """

    name: str
    columns: tuple[str, ...]
    reasons: tuple[str, ...]
    points: HandSetPoints | None = None


@dataclass(frozen=True)
class Plan:
    """Keys, columns and behaviours, in a form that JSON holds without loss.

    Attributes
    ----------
    keys, columns, behaviours
        See `Key`, `Column`, `PlannedBehaviour`.
    vocabularies : mapping of str to tuple of str
        Entries of each attribute that the keys refer to, most frequent first.
    session_gap_us : int
        A visit ends when nothing was done for longer than this; 30 minutes.
    compiled_before_us : int or None
        Vocabularies were read from events known before this time (UTC microseconds).
    own_actions : mapping of str to str
        What the source calls its actions, to what the keys call them: events may come under either name.
    """

    keys: tuple[Key, ...]
    columns: tuple[Column, ...]
    behaviours: tuple[PlannedBehaviour, ...]
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    session_gap_us: int = 30 * 60 * 1_000_000
    compiled_before_us: int | None = None
    own_actions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the output columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def behaviour_of(self) -> dict[str, str]:
        """Column name to the name of its behaviour."""
        return {column: b.name for b in self.behaviours for column in b.columns}

    @property
    def digest(self) -> str:
        """Sha256 of the canonical JSON: equal plans have equal digests on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, no spaces, ASCII only."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, strings and integers."""
        # Left out where there are none: such plans are read by every version.
        own = {"own_actions": dict(self.own_actions)} if self.own_actions else {}
        return {
            "format": PLAN_FORMAT,
            "keys": [asdict(key) for key in self.keys],
            "columns": [asdict(column) for column in self.columns],
            "behaviours": [asdict(behaviour) for behaviour in self.behaviours],
            "vocabularies": {name: list(values) for name, values in self.vocabularies.items()},
            "session_gap_us": self.session_gap_us,
            "compiled_before_us": self.compiled_before_us,
            **own,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Rebuild a plan, checking every part.

        Raises
        ------
        BundleError
            If the data are not those of a plan of this format.
        """
        try:
            if data["format"] != PLAN_FORMAT:
                raise BundleError(
                    f"The plan has format {data['format']!r}; this version reads {PLAN_FORMAT}."
                )
            plan = cls(
                keys=tuple(Key(**key) for key in data["keys"]),
                columns=tuple(
                    Column(
                        name=str(c["name"]),
                        operation=c["operation"],
                        keys=tuple(int(k) for k in c["keys"]),
                        windows=tuple(int(w) for w in c["windows"]),
                        split=int(c["split"]),
                    )
                    for c in data["columns"]
                ),
                behaviours=tuple(
                    PlannedBehaviour(
                        str(b["name"]),
                        tuple(map(str, b["columns"])),
                        tuple(map(str, b["reasons"])),
                        _points_from(b["points"]),
                    )
                    for b in data["behaviours"]
                ),
                vocabularies={str(k): tuple(map(str, v)) for k, v in data["vocabularies"].items()},
                session_gap_us=int(data["session_gap_us"]),
                compiled_before_us=data["compiled_before_us"],
                own_actions={str(k): str(v) for k, v in data.get("own_actions", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(f"The plan cannot be read: {error!r}.") from error
        plan.check()
        return plan

    def check(self) -> None:
        """Raise `BundleError` unless every reference inside the plan holds."""
        names = self.column_names
        if len(set(names)) != len(names):
            raise BundleError("The plan names a column twice.")
        for key in self.keys:
            _check_key(key)
        for column in self.columns:
            _check_column(column, len(self.keys))
        for behaviour in self.behaviours:
            _check_behaviour(behaviour, set(names))
        for name, entries in self.vocabularies.items():
            if len(set(entries)) != len(entries):
                raise BundleError(f"The plan's vocabulary of {name!r} holds an entry twice.")
        before = self.compiled_before_us
        if not 0 <= self.session_gap_us <= LONGEST_US or not (before is None or type(before) is int):
            raise BundleError(
                "The plan's session gap is impossible, or the time that it was compiled before."
            )


def _check_key(key: Key) -> None:
    if any(v is not None and not isinstance(v, str) for v in (key.action, key.attribute, key.value)):
        raise BundleError(f"The plan holds a key that is not text: {key}.")
    if key.side not in SIDES or (key.attribute is not None and key.attribute not in ATTRIBUTES):
        raise BundleError(f"The plan holds an unknown key: {key}.")


def _check_column(column: Column, keys: int) -> None:
    if column.operation not in OPERATIONS:
        raise BundleError(f"Column {column.name!r} asks for the unknown operation {column.operation!r}.")
    if any(not 0 <= k < keys for k in column.keys) or any(not 0 <= w <= LONGEST_US for w in column.windows):
        raise BundleError(
            f"Column {column.name!r} refers to keys that are not there, or to impossible windows."
        )
    if not 0 <= column.split <= len(column.keys):
        raise BundleError(f"Column {column.name!r} splits its keys out of bounds.")
    if column.operation in _WINDOWED and not column.windows:
        raise BundleError(f"Column {column.name!r} lacks a window.")
    if column.operation in _OF_ONE_KEY and not column.keys:
        raise BundleError(f"Column {column.name!r} counts nothing: it has no key.")


def _check_behaviour(behaviour: PlannedBehaviour, columns: set[str]) -> None:
    unknown = [c for c in behaviour.columns if c not in columns]
    if unknown:
        raise BundleError(f"Behaviour {behaviour.name!r} names columns that are not in the plan: {unknown}.")
    points = behaviour.points
    if points is None:
        return
    if any(column not in columns for column, _ in points.units):
        raise BundleError(f"The points of {behaviour.name!r} name columns that are not in the plan.")
    if not all(map(math.isfinite, (points.each, points.cap, *(weight for _, weight in points.units)))):
        raise BundleError(f"The points of {behaviour.name!r} are not finite numbers.")


def _points_from(data: Mapping[str, Any] | None) -> HandSetPoints | None:
    if data is None:
        return None
    units = tuple((str(column), float(weight)) for column, weight in data["units"])
    return HandSetPoints(float(data["each"]), units, float(data["cap"]))
