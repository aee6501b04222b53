"""Small communities by chance, and a slow reading of the rules to hold `observe` against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from leadlight.community import Community
from leadlight.moments import DAY_US

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = 1_704_067_200_000_000  # 2024-01-01
SPAN = 16
MEMBERS = ("ann", "bob", "cid", "dee")


def text(us: int | None, *, day: bool = False) -> str | None:
    """Write microseconds as a time, or as a day alone."""
    if us is None:
        return None
    return f"{EPOCH + timedelta(microseconds=us):{'%Y-%m-%d' if day else '%Y-%m-%dT%H:%M:%S.%f'}}"


def end_of_day(us: int) -> int:
    return us // DAY_US * DAY_US + DAY_US - 1


@dataclass
class World:
    """Tables in microseconds, the text of which makes a community."""

    members: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    deals: list[dict[str, Any]] = field(default_factory=list)
    deal_contacts: list[dict[str, Any]] | None = None
    contacts: list[dict[str, Any]] | None = None

    def community(self) -> Community:
        tables = {
            "activity": [
                {"member_id": e["member"], "action": e["action"], "occurred_at": text(e["at"], day=e["day"]),
                 "known_at": text(e["known"])}
                for e in self.events
            ],
            "members": [
                {"member_id": m["member"], "account_id": m["account"], "role": m["role"], "consent": m["consent"],
                 "joined_at": text(m["joined"])}
                for m in self.members
            ],
            "deals": [
                {"deal_id": d["id"], "member_id": d["member"], "account_id": d["account"], "outcome": d["outcome"],
                 "opened_at": text(d["opened"]), "closed_at": text(d["closed"], day=d["day"]), "known_at": text(d["known"])}
                for d in self.deals
            ] or None,
            "contacts": None if self.contacts is None else [
                {"member_id": c["member"], "contacted_at": text(c["at"])} for c in self.contacts
            ],
        }  # fmt: skip
        named = {"deal_contacts": self.deal_contacts or None} if self.deals else {}
        return Community(**tables, **named, match="id")


def moment(random: Random) -> int:
    """Half days, so that bounds meet often, and now and then a microsecond beside."""
    return START + random.randrange(2 * SPAN) * DAY_US // 2 + random.choice((0, 0, 0, -1, 1))


def maybe(random: Random, value: Any, chance: float = 0.5) -> Any:
    return value if random.random() < chance else None


def draw_event(random: Random) -> dict[str, Any]:
    at, day = moment(random), random.random() < 0.2
    at = end_of_day(at) if day else at
    late = maybe(random, at + random.choice((-1, 1, DAY_US, 5 * DAY_US)), 0.3)
    return {
        "member": random.choice(MEMBERS), "action": random.choice(("view", "question")), "at": at, "day": day, "known": late,
    }  # fmt: skip


def draw_deal(random: Random, name: str) -> dict[str, Any]:
    outcome = random.choice(("won", "won", "won", "lost", None))
    opened, closed, day = moment(random), moment(random), random.random() < 0.2
    closed = end_of_day(closed) if day else closed
    by_member = random.random() < 0.5
    known = maybe(random, closed + random.choice((-1, 1, DAY_US, 9 * DAY_US)), 0.4)
    return {
        "id": name, "outcome": outcome, "day": day, "known": known,
        "member": random.choice(MEMBERS) if by_member else None,
        "account": None if by_member else random.choice(("x", "y")),
        "opened": opened if outcome is None else maybe(random, opened, 0.7),
        "closed": None if outcome is None else closed,
    }  # fmt: skip


def draw_world(random: Random) -> World:
    members = [
        {"member": m, "account": random.choice(("x", "x", "y", None)), "joined": maybe(random, moment(random), 0.3),
         "role": random.choice((None, None, None, None, "prospect", "prospect", "customer", "employee")),
         "consent": random.random() < 0.9 or None}
        for m in MEMBERS
    ]  # fmt: skip
    # So that deals of an account always find it.
    members += [
        {"member": f"of-{a}", "account": a, "joined": None, "role": None, "consent": True} for a in ("x", "y")
    ]
    deals = [draw_deal(random, f"d{i}") for i in range(random.randrange(1, 8))]
    names = [(d["id"], m) for d in deals for m in MEMBERS]
    return World(
        members,
        [draw_event(random) for _ in range(random.randrange(8, 30))],
        deals,
        [{"deal_id": d, "member_id": m} for d, m in random.sample(names, min(3, len(names)))]
        if random.random() < 0.4 else None,
        maybe(random, [{"member": random.choice(MEMBERS), "at": moment(random)} for _ in range(random.randrange(1, 6))]),
    )  # fmt: skip


def draw_options(random: Random, world: World) -> dict[str, Any]:
    """Arguments of `observe`; durations are timedeltas."""
    span = lambda *days: timedelta(days=random.choice(days))  # noqa: E731
    actions = {e["action"] for e in world.events}
    return {
        "every": span(1, 1, 2.5, 5), "horizon": span(1 / 24, 0.5, 2, 4, 6, 730), "gap": span(0, 0, 0.5, 2),
        "active_within": span(1, 5, 40),
        "enters_on": "question" if "question" in actions and random.random() < 0.3 else None,
        "on": "view" if "view" in actions and random.random() < 0.25 else None,
        "start": maybe(random, moment(random), 0.4), "end": maybe(random, moment(random), 0.1),
        "frozen_at": maybe(random, moment(random) + SPAN * DAY_US // 2, 0.5), "cool_off": maybe(random, span(0, 0.5, 2, 7)), "censored": True,
    }  # fmt: skip


@dataclass
class Oracle:
    """The rules, read member by member and row by row."""

    world: World
    frozen: int
    options: dict[str, Any]

    def __post_init__(self) -> None:
        us = {k: v // timedelta(microseconds=1) for k, v in self.options.items() if isinstance(v, timedelta)}
        self.horizon, self.gap, self.every, self.active = (
            us[k] for k in ("horizon", "gap", "every", "active_within")
        )
        self.cool_off = us.get("cool_off")
        self.people = {m["member"]: m for m in self.world.members}
        self.seen = [e | {"visible": max(e["at"], e["known"] or 0)} for e in self.world.events]
        self.seen = [e for e in self.seen if e["visible"] <= self.frozen]
        self.sales = [s for d in self.world.deals for s in self._reach(d)]

    def may_be_approached(self, member: str) -> bool:
        return self.people[member]["role"] != "employee" and self.people[member]["consent"] is True

    def _reach(self, deal: dict[str, Any]) -> list[dict[str, Any]]:
        named = [c["member_id"] for c in self.world.deal_contacts or [] if c["deal_id"] == deal["id"]]
        if named:
            reached = [m for m in named if self.may_be_approached(m)]
        elif deal["member"]:
            reached = [deal["member"]]
        else:
            reached = [
                m
                for m, p in self.people.items()
                if p["account"] == deal["account"] and self.may_be_approached(m)
            ]
        ended = deal["outcome"] is not None and max(deal["closed"], deal["known"] or 0) <= self.frozen
        opened = deal["opened"]
        if opened is not None and deal["outcome"] is None:
            opened = max(opened, deal["known"] or 0)
        fact = {
            "outcome": deal["outcome"] if ended else None,
            "opened": opened if opened is not None and opened <= self.frozen else None,
            "closed": deal["closed"] if ended else float("inf"),
            "visible": max(deal["closed"], deal["known"] or 0) if ended else float("inf"),
            "share": 1 / len(reached) if reached else None,
        }
        if fact["opened"] is not None and fact["opened"] > fact["closed"]:
            fact["opened"] = None
        return [fact | {"member": m} for m in reached]

    def of(self, member: str, outcome: str | None = None) -> list[dict[str, Any]]:
        return [
            s for s in self.sales if s["member"] == member and (outcome is None or s["outcome"] == outcome)
        ]

    def cutoffs(self) -> list[tuple[str, int]]:
        """Every (member, cutoff) at which somebody might be looked at."""
        start, end = self.options["start"], self.options["end"]
        if self.options["on"]:
            pairs = {(e["member"], e["visible"] + 1) for e in self.seen if e["action"] == self.options["on"]}
            return [(m, c) for m, c in pairs if (start is None or c >= start) and (end is None or c < end)]
        first = (min(e["at"] for e in self.world.events) // DAY_US + 1) * DAY_US
        cutoff, found = first if start is None else start, []
        while cutoff < (self.frozen + 1 if end is None else end):
            found += [(m, cutoff) for m in self.people]
            cutoff += self.every
        return found

    def entered(self, member: str) -> float:
        mine = [e for e in self.seen if e["member"] == member]
        if self.options["enters_on"]:
            return min(
                (e["visible"] for e in mine if e["action"] == self.options["enters_on"]), default=float("inf")
            )
        joined = self.people[member]["joined"]
        return min((e["visible"] for e in mine), default=float("inf")) if joined is None else joined

    def is_active(self, member: str, cutoff: int) -> bool:
        if self.options["on"]:
            return True
        return any(
            e["member"] == member and e["at"] >= cutoff - self.active and e["visible"] < cutoff
            for e in self.seen
        )

    def bought(self, member: str, cutoff: int) -> bool:
        wins = [s["closed"] for s in self.of(member, "won") if s["closed"] < cutoff]
        return bool(wins) and (self.cool_off is None or cutoff < max(wins) + self.cool_off)

    def reason(self, member: str, cutoff: int) -> str | None:
        """Why there is no row; "" where nobody would ask."""
        if not self.is_active(member, cutoff):
            asked = self.may_be_approached(member) and self.entered(member) < cutoff
            return "inactive" if asked else ""
        if self.people[member]["role"] == "employee":
            return "employees"
        if not self.may_be_approached(member):
            return "refused"
        if self.entered(member) >= cutoff:
            return "not_entered"
        if self.bought(member, cutoff):
            return "after_won"
        if any(cutoff <= s["closed"] < cutoff + self.gap for s in self.of(member, "won")):
            return "won_in_gap"
        return None

    def row(self, member: str, cutoff: int) -> dict[str, Any]:
        opens, closes = cutoff + self.gap, cutoff + self.gap + self.horizon
        won, lost = (
            [s for s in self.of(member, o) if opens <= s["closed"] < closes] for o in ("won", "lost")
        )
        still = [
            s for s in self.of(member) if s["opened"] is not None and s["opened"] < closes <= s["closed"]
        ]
        pending = [
            s for s in self.of(member) if s["opened"] is not None and s["opened"] < cutoff <= s["visible"]
        ]
        mature = closes - 1 <= self.frozen
        asked = None
        if self.world.contacts is not None:
            times = [c["at"] for c in self.world.contacts if c["member"] == member and c["at"] <= self.frozen]
            asked = any(cutoff <= t < closes for t in times)
        return {
            "label": int(bool(won)) if mature else -1,
            "outcome": "won" if won else "lost" if lost else "open" if still else "none",
            "contacted": asked,
            "open_deal": bool(pending),
            "customer": self.people[member]["role"] == "customer",
            "weight": max((s["share"] for s in won), default=1.0),
            "observed_until": min(closes, self.frozen + 1),
        }

    def rows(self) -> dict[tuple[int, str], dict[str, Any]]:
        found = [(c, m) for m, c in self.cutoffs() if self.reason(m, c) is None]
        return {(c, m): self.row(m, c) for c, m in sorted(found)}

    def periods(self, interval: int) -> dict[tuple[int, str, int], int]:
        """By (cutoff, member, interval at risk): whether a deal was won in it."""
        found = {}
        for cutoff, member in self.rows():
            begins, closes = cutoff + self.gap, cutoff + self.gap + self.horizon
            number = 0
            while begins < closes:
                ends = min(begins + interval, closes)
                if ends - 1 > self.frozen:
                    break
                won = any(begins <= s["closed"] < ends for s in self.of(member, "won"))
                found[cutoff, member, number] = int(won)
                if won:
                    break
                begins, number = ends, number + 1
        return found


@pytest.fixture(name="draw", scope="session")
def _draw() -> Any:
    """Return a world, its community, and arguments for `observe`."""

    def draw(random: Random) -> tuple[World, Community, dict[str, Any]]:
        world = draw_world(random)
        return world, world.community(), draw_options(random, world)

    return draw


@pytest.fixture(name="oracle", scope="session")
def _oracle() -> Any:
    def oracle(world: World, community: Community, options: dict[str, Any]) -> Oracle:
        frozen = community.frozen_us if options["frozen_at"] is None else options["frozen_at"]
        return Oracle(world, frozen, options)

    return oracle
