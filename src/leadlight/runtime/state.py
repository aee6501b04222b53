"""MemberState: one member's history in a small form that an application stores and updates event by event."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.start import NEVER, Start, fold, longest_window
from leadlight.moments import Duration, Moment, duration_us, moment_text, moment_us
from leadlight.plan import Plan
from leadlight.runtime.event_needs import COLUMN_OF, needs_of
from leadlight.runtime.event_table import OPTIONAL, REQUIRED, EventTable
from leadlight.runtime.events import MEMBER, EventInfo, member_facts, missing_facts
from leadlight.runtime.facts import as_domain, as_id, as_time_us
from leadlight.runtime.state_bytes import Stored, fingerprint, read_state, write_state
from leadlight.runtime.state_events import FURTHEST_US, OneEvent, is_event, read_many, read_one
from leadlight.runtime.state_rows import HeldRows

_NAMES: Final = frozenset((*REQUIRED, *OPTIONAL))
_ENTITY: Final = np.array([MEMBER], np.int64)
_ENTITY.flags.writeable = False
_FEW: Final = 32
"""So many rows are held before the first look at what can be folded, and more between two looks."""


@dataclass(frozen=True)
class _Folded:
    """What is known, beside `Start`, of rows that are held no more; `NEVER` for none.

    Attributes
    ----------
    until : int
        When the newest happened.
    visible : int
        When the last of them became known.
    born : int
        When the first became known that the member gave.
    """

    until: int = NEVER
    visible: int = NEVER
    born: int = NEVER


class MemberState:
    """The events of one member, folded as far as no window of the plan can tell.

    Events are held as integers for as long as a window may see them, and as sums from then on. Features and predictions
    equal, to the bit, those of all events at once; see `Scorer.predict`. One thread at a time may change a state.

    Parameters
    ----------
    plan : Plan
        A scorer's plan; `Scorer.state` passes it.
    member : mapping, optional
        The member's own facts, as for `Scorer.predict`: member_id, email_domain, joined_at. They are kept in the state.
    keep : duration or None
        How long before the newest event features may still be asked for, and events surely be added. None: from the
        first event on, so that nothing is folded but by `compact`.

    Raises
    ------
    InputError
        A fact cannot be read, or `keep` is no duration.

    Notes
    -----
    With `newest` for the moment at which the newest event became known (but not later than this machine's clock, lest one
    wrong time make the state forget) and `longest` for the plan's longest window, twice that of a trend:

    - Features can be asked for any moment from `newest - keep` on.
    - An event that happened at `newest - keep - longest` or later can be added at any time and in any order. An older one
      can be added as long as nothing newer was folded; else it is refused, never miscounted.
    - Of events with one event_id the one that was known earliest counts, then the one that happened earliest, then the one
      whose action comes first, while the first of them is held. Once it is folded its event_id is forgotten.
    - An event that is known only much later than it happened is held until all moments that can be asked for see it, and
      with it all that happened after it.
    """

    def __init__(
        self, plan: Plan, member: Mapping[str, Any] | None = None, *, keep: Duration | None = "7d"
    ) -> None:
        given = member_facts(member)
        facts: dict[str, Any] = {}
        if "member_id" in given:
            facts["member_id"] = as_id(given["member_id"], "member_id")
        if "email_domain" in given:
            facts["email_domain"] = as_domain(given["email_domain"], "email_domain")
        if "joined_at" in given:
            facts["joined_at"] = as_time_us(given["joined_at"], "joined_at", NEVER)
        self._begin(plan, facts, None if keep is None else duration_us(keep, name="keep", zero=True))

    def _begin(self, plan: Plan, facts: dict[str, Any], keep: int | None) -> None:
        self._plan, self._needs, self._facts, self._keep = plan, needs_of(plan), facts, keep
        self._rows = HeldRows(self._needs)
        self._start, self._folded = Start.empty(plan), _Folded()
        self._names: frozenset[str] = frozenset()
        self._oldest_at: int | None = None
        self._newest, self._born, self._late = NEVER, NEVER, False
        self._look_at = _FEW
        self._filled: tuple[Start, Start] | None = None
        self._forget()

    def _forget(self) -> None:
        """Drop what was derived from the rows."""
        self._log: EncodedLog | None = None
        self._told: tuple[tuple[str, ...], tuple[int, ...]] | None = None
        self._row_of: dict[int, int] | None = None

    @property
    def plan(self) -> Plan:
        """The plan whose features the state gives."""
        return self._plan

    @property
    def events(self) -> int:
        """How many events count, held and folded."""
        return self._start.rows + self._rows.n

    @property
    def held(self) -> int:
        """How many events are held one by one."""
        return self._rows.n

    @property
    def oldest_at(self) -> int | None:
        """The earliest moment that can be asked for, UTC microseconds; None: any."""
        return self._oldest_at

    def update(self, events: Any) -> None:
        """Add events: all of them, or none where an error is raised.

        Parameters
        ----------
        events : dict, list of dicts, dict of arrays, pandas, polars or Arrow table
            One event, or several as for `Scorer.predict`, in any order. Without a member_id they are the member's.

        Raises
        ------
        SchemaError, ColumnTypeError, InputError
            A required column is missing, a value cannot be read, no event is the member's, or one happened before events
            that were folded.
        """
        if isinstance(events, list) and len(events) == 1 and is_event(events[0]):
            events = events[0]
        one = read_one(events, self._facts, self._needs) if is_event(events) else None
        if one is not None:
            self._update_one(one, events)
        else:
            self._update_many([events] if is_event(events) else events)
        if self._keep is not None and self._newest != NEVER:
            self._move_to(min(self._newest, clock.time_ns() // 1000) - self._keep)
        if self._rows.n >= self._look_at:
            self._fold()

    def compact(self, before: Moment | None = None) -> None:
        """Fold what no window can see at `before` or later; features can then be asked for from that moment on only.

        Parameters
        ----------
        before : moment, optional
            Default: one microsecond after the newest event became known. An earlier moment than `oldest_at` changes nothing.
        """
        if before is not None:
            self._move_to(moment_us(before, name="before"))
        elif self._newest != NEVER:
            self._move_to(self._newest + 1)
        self._fold()

    def encoded(
        self, plan: Plan, at: Moment | None = None
    ) -> tuple[EncodedLog, NDArray[np.int64], EventInfo, Start]:
        """Return what `sweep` needs for the features at a moment, as `encode_events` does for all events at once.

        Raises
        ------
        InputError
            The plan is not the state's, the moment is earlier than `oldest_at`, or there is no event and no moment.
        """
        if plan is not self._plan and fingerprint(plan) != fingerprint(self._plan):
            raise InputError(
                "The state was made for the plan of another model. Make a new one with scorer.state() from the events."
            )
        if at is None and not self.events:
            raise InputError("There are no events, so there is no latest one; say for which moment with at=.")
        at_us = self._newest + 1 if at is None else moment_us(at, name="at")
        if self._oldest_at is not None and at_us < self._oldest_at:
            raise InputError(
                f"at is {moment_text(at_us)}; the state answers from {moment_text(self._oldest_at)} on. Ask for a later "
                "moment, or make states with a longer keep=."
            )
        if self._log is None:
            names = self._names if "email_domain" in self._facts else self._names - {COLUMN_OF["same_domain"]}
            self._log = self._rows.log(names, all_known=not self.events, late=self._late)
        if self._told is None:
            self._told = self._tell()
        missing, unknown = self._told
        joined = np.array([self._facts.get("joined_at", NEVER)], np.int64)
        cold = self._born == NEVER or self._born >= at_us
        return self._log, _ENTITY, EventInfo(at_us, joined, cold, missing, unknown), self._sums()

    def to_bytes(self) -> bytes:
        """Return the state as bytes: what can be folded is folded, what is not held is not there.

        They hold the member's identifier and domain as given, times and codes of events that are still held, and no text
        of them.
        """
        self._fold()
        names = tuple(sorted(self._names))
        folded = self._folded
        scalars = {
            "keep": self._keep,
            "oldest_at": self._oldest_at,
            "folded": [folded.until, folded.visible, folded.born],
        }
        return write_state(self._plan, Stored(self._facts, names, scalars, self._start, self._rows))

    @classmethod
    def from_bytes(cls, data: bytes, plan: Plan) -> MemberState:
        """Return the state that `to_bytes` gave.

        Raises
        ------
        InputError
            The bytes are damaged, of another plan or of a newer format, or no state at all.
        """
        stored = read_state(data, plan)
        state = cls.__new__(cls)
        state._begin(plan, stored.facts, stored.scalars["keep"])
        state._rows, state._start, state._names = stored.rows, stored.start, frozenset(stored.names)
        state._oldest_at, state._folded = stored.scalars["oldest_at"], _Folded(*stored.scalars["folded"])
        state._summarise()
        state._look_at = _later(state._rows.n)
        return state

    def copy(self) -> MemberState:
        """Return a state of its own; the plan is shared."""
        found = MemberState.__new__(MemberState)
        found.__dict__.update(self.__dict__)
        found._facts, found._rows = dict(self._facts), self._rows.copy()
        found._forget()
        return found

    def __copy__(self) -> MemberState:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> MemberState:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return MemberState.from_bytes, (self.to_bytes(), self._plan)

    def __repr__(self) -> str:
        since = "" if self._oldest_at is None else f", from {moment_text(self._oldest_at)} on"
        return f"MemberState({self.events} events, {self.held} of them held{since})"

    def _update_one(self, one: OneEvent, names: Iterable[Any]) -> None:
        row, tags, action = one
        event, time, visible = row["event"], row["time"], row["visible"]
        if event and not self._is_first(event, visible, time, action):
            self._learn(names)
            return
        self._refuse_older(time)
        if event:
            self._replace([event])
        self._learn(names)
        self._rows.append(row, tags)
        if event and self._row_of is not None:
            self._row_of[event] = self._rows.n - 1
        self._newest = max(self._newest, visible)
        self._late |= visible > time
        self._log = None
        if row["actor"] != MEMBER:
            self._told = None
        elif self._born == NEVER or visible < self._born:
            self._born = visible

    def _update_many(self, events: Any) -> None:
        read = read_many(events, self._facts, self._needs)
        if read is None:
            return
        added, numbers = read.rows, read.rows.column("event").tolist()
        if any(numbers):
            times = (added.column("visible").tolist(), added.column("time").tolist())
            rank = zip(numbers, *times, read.actions, strict=True)
            added = added.take(np.flatnonzero([not one[0] or self._is_first(*one) for one in rank]))
        if added.n:
            self._refuse_older(int(added.column("time").min()))
        self._replace([number for number in added.column("event").tolist() if number])
        self._facts = read.facts
        self._learn(read.names)
        self._rows.extend(added)
        self._summarise()

    def _rows_by_event(self) -> dict[int, int]:
        if self._row_of is None:
            numbers = self._rows.column("event").tolist()
            self._row_of = {number: i for i, number in enumerate(numbers) if number}
        return self._row_of

    def _is_first(self, number: int, visible: int, time: int, action: str) -> bool:
        """Whether no row with this event_id is held, or one that counts less."""
        at = self._rows_by_event().get(number)
        if at is None:
            return True
        held = self._rows.columns
        new, old = (visible, time), (int(held["visible"][at]), int(held["time"][at]))
        if new != old:
            return new < old
        code = int(held["action"][at])
        # The text of an action that the plan does not name is not held.
        return code >= 0 and action < self._needs.dictionaries["action"][code]

    def _replace(self, numbers: list[int]) -> None:
        """Drop held rows with these events, for others that count more."""
        known = self._rows_by_event() if numbers else {}
        gone = [known[number] for number in numbers if number in known]
        if gone:
            self._rows = self._rows.take(np.delete(np.arange(self._rows.n), gone))
            self._summarise()

    def _refuse_older(self, time: int) -> None:
        if time <= self._folded.until:
            raise InputError(
                f"An event happened at {moment_text(time)}, and the state holds only sums of what happened until "
                f"{moment_text(self._folded.until)}. Give older events first or in one call, or make states with a longer keep=."
            )

    def _sums(self) -> Start:
        """Return what was folded; where no event ever had a value, fields count as filled, as `HeldRows.log` has it."""
        start = self._start
        if not self._needs.filled or "value" in self._names:
            return start
        if self._filled is None or self._filled[0] is not start:
            self._filled = (start, replace(start, filled=np.ones(len(start.filled), np.bool_)))
        return self._filled[1]

    def _learn(self, names: Iterable[Any]) -> None:
        """Take note of columns that were given."""
        more = _NAMES.intersection(names) - self._names
        if more:
            self._names |= more
            self._log = self._told = None

    def _summarise(self) -> None:
        """Find again what is known of all rows."""
        rows, folded = self._rows, self._folded
        visible = rows.column("visible")
        self._newest = max(folded.visible, int(visible.max(initial=NEVER)))
        self._late = bool((visible > rows.column("time")).any())
        self._born = _earlier(folded.born, visible[rows.column("actor") == MEMBER])
        self._forget()

    def _tell(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return facts that were not given, and columns that cannot be known."""
        table = EventTable(self._names, self.events, lambda name: [])
        received = self._start.first[1] != NEVER or bool((self._rows.column("actor") != MEMBER).any())
        unknown = self._needs.received_by_domain if received else ()
        missing = missing_facts(self._needs, table, self._facts)
        return tuple(dict.fromkeys([*missing, *(self._plan.columns[j].name for j in unknown)])), unknown

    def _move_to(self, moment: int) -> None:
        if self._oldest_at is None or moment > self._oldest_at:
            self._oldest_at = moment

    def _fold(self) -> None:
        """Fold rows that every moment that can be asked for sees, and no window does, from the oldest on."""
        rows = self._rows
        if self._oldest_at is not None and rows.n:
            time, visible = rows.column("time"), rows.column("visible")
            hidden = time[visible >= self._oldest_at]
            bound = min(self._oldest_at - longest_window(self._plan), int(hidden.min(initial=FURTHEST_US)))
            old = time < bound
            if old.any():
                self._fold_rows(np.flatnonzero(old))
                self._rows = rows.take(np.flatnonzero(~old))
                self._summarise()
        self._look_at = _later(self._rows.n)

    def _fold_rows(self, at: NDArray[np.int64]) -> None:
        gone, known = self._rows.take(at), self._folded
        # Not the names that were given: what an event did not say counts as none, whatever others say.
        self._start = fold(self._plan, self._start, gone.log(_NAMES, late=False), MEMBER)
        visible = gone.column("visible")
        self._folded = _Folded(
            until=max(known.until, int(gone.column("time").max())),
            visible=max(known.visible, int(visible.max())),
            born=_earlier(known.born, visible[gone.column("actor") == MEMBER]),
        )


def _earlier(moment: int, moments: NDArray[np.int64]) -> int:
    """Return the earliest of a moment, which may be `NEVER`, and of others, which may be none."""
    if not len(moments):
        return moment
    return int(moments.min()) if moment == NEVER else min(moment, int(moments.min()))


def _later(held: int) -> int:
    """How many rows to hold before looking again at what can be folded: a share of the work a row, and of the memory."""
    return held + held // 4 + _FEW
