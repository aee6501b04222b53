"""What a plan asks of one member's events: found once for a plan, and used for every member."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leadlight.plan import Plan

COLUMN_OF: Final = {
    "tag": "tags",
    "group": "group_id",
    "role": "other_role",
    "job_function": "other_job_function",
    "same_domain": "other_domain",
    "field": "field",
}
"""The column of events that each attribute of a key is read from."""

_DICTIONARIES: Final = ("action", "tag", "group", "role", "job_function", "field")
_SECONDS: Final = frozenset({"sum_duration", "last_visit"})


@dataclass(frozen=True)
class Needs:
    """What a plan uses.

    Attributes
    ----------
    dictionaries : mapping of str to tuple of str
        The entries that keys name. The same object for every log, by which the sweep knows what it has prepared.
    codes : mapping of str to dict
        The same entries with their codes. Every other value is coded as -1: no key counts it.
    attributes : frozenset of str
        What keys ask for; colleagues' keys do not count, since one member's events say nothing of colleagues.
    received, duration, tenure : bool
        Some column counts received rows, reads durations, asks when the member joined.
    filled : bool
        Some column asks whether the newest value of a field is empty. It reads durations too, where they are given: of
        rows at one time, the longest is the newest.
    received_by_domain : tuple of int
        Columns over received rows of the same domain.
    own_actions : mapping of str to str
        The source's names of actions to the plan's.
    """

    dictionaries: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, dict[str | None, int]]
    attributes: frozenset[str]
    received: bool
    duration: bool
    tenure: bool
    filled: bool
    received_by_domain: tuple[int, ...]
    own_actions: Mapping[str, str]


_found: Final[dict[int, tuple[weakref.ref[Plan], Needs]]] = {}


def needs_of(plan: Plan) -> Needs:
    """Return what a plan uses; remembered for as long as the plan lives."""
    # By identity: a plan holds a dict, so it has no hash.
    number = id(plan)
    found = _found.get(number)
    if found is None or found[0]() is not plan:
        found = _found[number] = (weakref.ref(plan, lambda gone: _forget(number, gone)), _needs(plan))
    return found[1]


def _forget(number: int, gone: weakref.ref[Plan]) -> None:
    # By now another plan may be known by this number.
    kept = _found.get(number)
    if kept is not None and kept[0] is gone:
        del _found[number]


def _needs(plan: Plan) -> Needs:
    entries: dict[str, dict[str, None]] = {name: {} for name in _DICTIONARIES}
    for key in plan.keys:
        if key.action is not None:
            entries["action"][key.action] = None
        if key.attribute in entries:
            entries[key.attribute][str(key.value)] = None
    dictionaries = {name: tuple(found) for name, found in entries.items()}
    codes: dict[str, dict[str | None, int]] = {
        name: {entry: i for i, entry in enumerate(found)} for name, found in dictionaries.items()
    }
    for name in codes.keys() - {"tag"}:
        # Empty text is null. Only a list may hold an empty tag.
        codes[name].pop("", None)
    own = [column for column in plan.columns if column.operation != "peers"]
    used = [plan.keys[k] for k in {k for column in own for k in column.keys}]
    operations = {column.operation for column in own}
    by_domain = {
        i for i, key in enumerate(plan.keys) if key.side == "received" and key.attribute == "same_domain"
    }
    return Needs(
        dictionaries=dictionaries,
        codes=codes,
        attributes=frozenset(key.attribute for key in used if key.attribute is not None),
        received=any(key.side == "received" for key in used),
        duration=bool(operations & _SECONDS),
        tenure="tenure" in operations,
        filled="completeness" in operations,
        received_by_domain=tuple(j for j, c in enumerate(plan.columns) if by_domain.intersection(c.keys)),
        own_actions=plan.own_actions,
    )
