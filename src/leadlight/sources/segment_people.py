"""Who a call is about: identifiers that turned out to be one person, and what was said of that person, and when."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from leadlight.sources.segment_calls import Call

SIGNED_UP = "Signed Up"
ADDED_TO_ACCOUNT = "Account Added User"

FACTS = {
    "email": "email",
    "role": "role",
    "job_function": "job_function",
    "jobFunction": "job_function",
    "title": "job_function",
    "position": "job_function",
    "createdAt": "joined_at",
    "created_at": "joined_at",
    "consent": "consent",
}
"""Traits that are columns of the table of members. Of two traits for one column the first that is given counts."""

ROLES = ("prospect", "customer", "partner", "employee")


class Person(NamedTuple):
    """Who an identifier is at a time, and since when that is known (UTC microseconds; None: always)."""

    member: str
    known_us: int | None


class Links:
    """Identifiers that were seen to be another: a visitor who signed in, a user who was renamed.

    A visitor's device may serve several people. What happened on it belongs to whom was last seen there; what happened
    before anybody was seen belongs to the first, and is known to be theirs only from then on.
    """

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[int, str]]] = {}
        self._renamed: set[tuple[str, str]] = set()

    def add(self, identifier: str, other: str, at_us: int) -> None:
        """Say that `identifier` was `other` at a time."""
        if identifier == other:
            return
        seen = self._seen.setdefault(identifier, [])
        # A run of one target is its first and its last sighting: most calls repeat the last.
        if len(seen) >= 2 and seen[-1][1] == seen[-2][1] == other and seen[-2][0] <= seen[-1][0] <= at_us:
            seen[-1] = (at_us, other)
        else:
            seen.append((at_us, other))

    def finish(self, first_us: Mapping[str, int]) -> None:
        """Order what was said by time.

        Parameters
        ----------
        first_us : mapping
            Each user and when that user was first seen. A user who becomes another one that nobody had seen before has
            a new name only: all that the old name did was known to be that person's.
        """
        for identifier, seen in self._seen.items():
            seen.sort()
            since, other = seen[0]
            if identifier in first_us and first_us.get(other, since) >= since:
                self._renamed.add((identifier, other))

    def resolve(self, identifier: str, at_us: int) -> Person:
        """Return who an identifier of a call at a time is."""
        known: int | None = None
        passed = {identifier}
        while seen := self._seen.get(identifier):
            last = bisect_right(seen, (at_us, "\U0010ffff"))
            (since, other), before = seen[max(last - 1, 0)], identifier
            identifier = other
            if since > at_us and (before, other) not in self._renamed:
                known = since if known is None else max(known, since)
            if identifier in passed:  # two names that each became the other: the circle ends where it began
                break
            passed.add(identifier)
        return Person(identifier, known)


class Fact(NamedTuple):
    """Columns of the table of members that somebody told at a time; None is a trait that was emptied."""

    identifier: str
    known_us: int
    values: dict[str, Any]


class People:
    """What the calls say of people; the page and track calls themselves are not kept.

    Attributes
    ----------
    links : Links
    facts : list of Fact
        In the order of the calls.
    identified : set of str
        Users that a call names.
    profile : list of (identifier, time, known, trait, mark)
        Every trait that an identify call names, and a mark of its value: 0 for none, else equal where values are. The
        values themselves are not kept.
    """

    def __init__(self, calls: Iterable[Call], *, groups: str) -> None:
        self.links = Links()
        self.facts: list[Fact] = []
        self.profile: list[tuple[str, int, int, str, int]] = []
        self._first: dict[str, int] = {}
        self._groups = groups
        for call in calls:
            self._read(call)
        self.links.finish(self._first)
        self.identified = self._first.keys()

    def _read(self, call: Call) -> None:
        if call.user is not None:
            self._first[call.user] = min(call.time_us, self._first.get(call.user, call.time_us))
            if call.anonymous is not None:
                self.links.add(call.anonymous, call.user, call.known_us)
        identifier = call.user or call.anonymous
        if identifier is None:
            return
        if call.type == "alias":
            if call.previous is not None and call.user is not None:
                self.links.add(call.previous, call.user, call.known_us)
        elif call.type == "identify":
            if values := _facts(call.traits):
                self.facts.append(Fact(identifier, call.known_us, values))
            for trait, value in call.traits.items():
                self.profile.append((identifier, call.time_us, call.known_us, trait, _mark(value)))
        elif (call.type == "group" and self._groups == "account") or call.event == ADDED_TO_ACCOUNT:
            if call.group is not None:
                self.facts.append(Fact(identifier, call.known_us, {"account_id": call.group}))
        elif call.event == SIGNED_UP:
            self.facts.append(Fact(identifier, call.known_us, {"joined_at": call.time_us}))

    def members(self) -> list[dict[str, Any]]:
        """Return the rows of the table of members: one each time that something about a member changed."""
        told: dict[str, list[tuple[int, int, dict[str, Any]]]] = {p: [] for p in self._everybody()}
        for place, fact in enumerate(self.facts):
            person = self.links.resolve(fact.identifier, fact.known_us)
            if person.member in told:
                known = fact.known_us if person.known_us is None else person.known_us
                told[person.member].append((known, place, fact.values))
        columns = {column for facts in told.values() for _, _, values in facts for column in values}
        rows = []
        for member, facts in told.items():
            now: dict[str, Any] = dict.fromkeys(columns)
            rows.append({"member_id": member, "valid_from": None, **now})
            for known, _, values in sorted(facts, key=lambda fact: fact[:2]):
                # Nobody joins twice; later calls repeat the time, or the site forgot it.
                kept = {c: v for c, v in values.items() if c != "joined_at" or now["joined_at"] is None}
                if any(now[c] != v for c, v in kept.items()):
                    now |= kept
                    rows.append({"member_id": member, "valid_from": known, **now})
        return rows

    def updates(self) -> list[tuple[str, int, int, str, bool]]:
        """Return (member, time, known, trait, given) for each time that a trait was given, changed or emptied."""
        held: dict[tuple[str, str], int] = {}
        changes = []
        for identifier, time, known, trait, mark in sorted(self.profile, key=lambda said: said[1:4]):
            person = self.links.resolve(identifier, time)
            if person.member in self.identified and held.get((person.member, trait), 0) != mark:
                held[person.member, trait] = mark
                changes.append((person.member, time, max(known, person.known_us or known), trait, mark != 0))
        return changes

    def _everybody(self) -> list[str]:
        return list(
            dict.fromkeys(self.links.resolve(user, 1 << 62).member for user in sorted(self.identified))
        )


def _mark(value: Any) -> int:
    if value is None or value in ("", [], {}):
        return 0
    # Equal within this process, which is all that it is for.
    return hash(json.dumps(value, sort_keys=True)) or 1


def _facts(traits: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for trait, column in FACTS.items():
        value = traits.get(trait)
        if value is None or column in found or isinstance(value, (dict, list)):
            continue
        if column == "role" and value not in ROLES:
            continue  # a role in their own product, not in the community
        found[column] = value
    company = traits.get("company")
    if isinstance(company, Mapping) and company.get("id") not in (None, ""):
        found["account_id"] = str(company["id"])
    return found
