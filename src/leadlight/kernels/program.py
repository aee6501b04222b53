"""A plan as flat integer arrays for the native sweep: cells, windows, columns, and the keys that each row emits.

The plan's part is compiled once for a plan; what depends on a log is the meaning of its codes, two small tables for each
dictionary. Both are remembered, by identity: a scorer that encodes with fixed dictionaries pays a lookup.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from leadlight.moments import ALL
from leadlight.plan import LONGEST_US, Column, Key, Plan

DICTIONARIES: Final = ("action", "tag", "group", "role", "job_function", "field")
MOST_LANES: Final = 32
MOST_CELLS: Final = 60_000
MOST_SUMS: Final = 30_000
FOREVER: Final = int(np.iinfo(np.int64).max)

# The numbers below are those of csrc/sweep.h.
_OPERATIONS: Final = {
    name: number
    for number, name in enumerate(
        (
            "missing",
            "cell",
            "count",
            "sum_duration",
            "recency",
            "first_time",
            "trend",
            "ratio",
            "distinct",
            "entropy",
            "visits_per_month",
            "last_visit",
            "completeness",
            "surprise",
            "peers",
            "tenure",
        )
    )
}
_ATTRIBUTES: Final = (None, "tag", "group", "role", "job_function", "field", "same_domain")
NUMBER: Final = {name: number for number, name in enumerate(_ATTRIBUTES)}
NEEDS_OTHER, NEEDS_DURATION, NEEDS_FILLED, NEEDS_ACCOUNT, NEEDS_JOINED = (
    1 << 7,
    1 << 8,
    1 << 9,
    1 << 10,
    1 << 11,
)
_KEEP_GIVEN, _KEEP_RECEIVED, _USES_RECEIVED, _USES_FILLED = 1, 2, 4, 8
_SIDES: Final = ("given", "received", "account")
_VISITS: Final = ("visits", "visits_per_month", "last_visit")

Cell = tuple[str | None, str, str | None, str | None]
Ints = NDArray[Any]
Owner = TypeVar("Owner")
Value = TypeVar("Value")


class Unsupported(Exception):
    """The plan, the log or the call is beyond the bounds of the native kernel."""


class Remembered(Generic[Owner, Value]):
    """Values by the identity of what they were made of, forgotten with it.

    Plans and logs hold arrays and dicts, so they have no hash. Two threads may make the same value at once: one stays.
    """

    def __init__(self, make: Callable[[Owner], Value]) -> None:
        self._make = make
        self._values: dict[int, tuple[weakref.ref[Any], Value]] = {}

    def __call__(self, owner: Owner) -> Value:
        """Return the value of `owner`."""
        number = id(owner)
        found = self._values.get(number)
        if found is not None and found[0]() is owner:
            return found[1]
        value = self._make(owner)
        values = self._values

        def forget(reference: weakref.ref[Any]) -> None:
            # By then another object may live, and be known, under the same number.
            if (kept := values.get(number)) is not None and kept[0] is reference:
                del values[number]

        values[number] = (weakref.ref(owner, forget), value)
        return value


class Compiled(NamedTuple):
    """The plan's part of a program.

    Attributes
    ----------
    parts : tuple of arrays
        In the order of `make_program` in csrc/sweep_program.c.
    numbers : tuple of dicts
        For each dictionary of `DICTIONARIES`, the entries that the plan names and their numbers from 1.
    cell_keys, sum_keys : int64 array
        A key of the plan for each cell and for each sum of durations; -1 for the cell of visits.
    uses_received, has_entropy, has_peers : bool
    made : dict
        Programs by the dictionaries of logs, most recent last.
    """

    parts: tuple[Ints, ...]
    numbers: tuple[dict[str, int], ...]
    cell_keys: Ints
    sum_keys: Ints
    uses_received: bool
    has_entropy: bool
    has_peers: bool
    made: dict[tuple[int, ...], tuple[tuple[Any, ...], Any]]


def value_tables(compiled: Compiled, dictionaries: Mapping[str, tuple[str, ...]]) -> tuple[Ints, ...]:
    """Return, for each dictionary, the plan's number of every code, 0 where the plan does not name the entry."""
    found = []
    for name, number in zip(DICTIONARIES, compiled.numbers, strict=True):
        entries = dictionaries.get(name, ())
        get = number.get
        found.append(np.array([get(entry, 0) for entry in entries], np.uint16))
    return tuple(found)


def plan_dictionaries(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return dictionaries that hold what the plan names and nothing else; all other values can be coded as -1.

    A log that is encoded with them gives the same features as one with dictionaries of its own. Equal objects for every
    request let the sweep reuse its program.
    """
    compiled = compiled_plan(plan)
    return {name: tuple(number) for name, number in zip(DICTIONARIES, compiled.numbers, strict=True)}


def _compile(plan: Plan) -> Compiled | Unsupported:
    try:
        return _Compiler(plan).result()
    except Unsupported as reason:
        return reason


_compiled: Final = Remembered(_compile)


def compiled_plan(plan: Plan) -> Compiled:
    """Return the plan's part of the program, compiled once.

    Raises
    ------
    Unsupported
        The plan has more windows, keys or entries than the tables hold, or asks for something that only the reference does.
    """
    found = _compiled(plan)
    if isinstance(found, Unsupported):
        raise found
    return found


def _cell(key: Key) -> Cell:
    """What a key counts, in one form: values that do not matter are None."""
    if key.attribute is None:
        return key.action, key.side, None, None
    if key.attribute == "same_domain":
        return key.action, key.side, key.attribute, None
    return key.action, key.side, key.attribute, str(key.value)


def windows_of(column: Column) -> list[int]:
    """Return all windows whose counts the column reads, in microseconds; `ALL` for everything before the cutoff."""
    if column.operation in ("recency", "last_visit", "completeness", "tenure"):
        return []
    if column.operation == "visits_per_month":
        return [ALL]
    first = column.windows[0]
    if column.operation == "trend":
        return [first, 2 * first]
    if column.operation in ("first_time", "surprise"):
        return [first, ALL]
    return [first, column.windows[-1]] if column.operation == "ratio" else [first]


class _Compiler:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells: dict[Cell, int] = {}
        self.key_of: dict[int, int] = {}
        self.peers: dict[Cell, int] = {}
        self.slots: dict[tuple[int, int], int] = {}
        self.sums: dict[int, int] = {}
        self.keys: list[int] = []
        self.numbers: tuple[dict[str, int], ...] = tuple({} for _ in DICTIONARIES)
        self.keep = 0
        lanes = sorted({self._length(w) for c in plan.columns for w in windows_of(c)})
        if len(lanes) > MOST_LANES:
            raise Unsupported(f"the plan has {len(lanes)} windows")
        self.lanes = {length: lane for lane, length in enumerate(lanes)}
        self.visits = -1

    @staticmethod
    def _length(window: int) -> int:
        if not 0 <= window <= 2 * LONGEST_US:
            raise Unsupported(f"the plan has a window of {window} microseconds")
        return FOREVER if window == ALL else window

    def result(self) -> Compiled:
        plan = self.plan
        operations = {column.operation for column in plan.columns}
        if operations.intersection(_VISITS):
            self.keep |= _KEEP_GIVEN
        if not -FOREVER <= plan.session_gap_us <= FOREVER:
            raise Unsupported(f"the plan has a session gap of {plan.session_gap_us} microseconds")
        if operations & {"visits", "visits_per_month"}:
            self.visits = self.cells.setdefault(("", "visits", None, None), 0)
        columns = np.array([self._column(column) for column in plan.columns], np.int64).reshape(-1, 8)
        for action, side, attribute, value in (*self.cells, *self.peers):
            if side != "visits":
                self._number("action", action)
                if attribute != "same_domain":
                    self._number(attribute, value)
        if max(len(self.cells), len(self.peers), *map(len, self.numbers)) > MOST_CELLS:
            raise Unsupported(f"the plan has {len(self.cells)} keys")
        uses_received = any(side == "received" for _, side, _, _ in self.cells)
        self.keep |= _USES_RECEIVED * uses_received
        emitted = [part for number in range(len(_ATTRIBUTES)) for part in self._emitted(number)]
        if len(self.sums) > MOST_SUMS:
            raise Unsupported(f"the plan sums the durations of {len(self.sums)} keys")
        sums = np.full(len(self.cells), -1, np.int16)
        sums[list(self.sums)] = list(self.sums.values())
        lanes = np.array(list(self.lanes), np.int64)
        parts = (
            self._header(),
            lanes,
            columns,
            np.array(self.keys, np.int32),
            sums,
            *self._slots(),
            *emitted,
        )
        cell_keys = np.full(len(self.cells), -1)
        cell_keys[list(self.key_of)] = list(self.key_of.values())
        return Compiled(
            parts,
            self.numbers,
            cell_keys,
            cell_keys[list(self.sums)],
            uses_received,
            "entropy" in operations,
            "peers" in operations,
            {},
        )

    def _number(self, dictionary: str | None, entry: str | None) -> None:
        if dictionary is not None and entry is not None:
            numbers = self.numbers[DICTIONARIES.index(dictionary)]
            numbers.setdefault(entry, len(numbers) + 1)

    def _values(self) -> list[int]:
        """Entries of each attribute in the tables of emitted keys."""
        return [1, *(len(number) for number in self.numbers[1:]), 1]

    def _header(self) -> Ints:
        names = [len(self.cells), self.visits, self.plan.session_gap_us, self.keep, len(self.sums)]
        sizes = [len(self.peers), len(self.slots), len(self.numbers[0])]
        return np.array([*names, *sizes, *self._values()], np.int64)

    def _emitted(self, attribute: int) -> tuple[Ints, Ints]:
        """Lists of keys by (side, action, value), one after the other, and where each begins."""
        actions, values = len(self.numbers[0]) + 1, self._values()[attribute]
        lists: list[list[int]] = [[] for _ in range(len(_SIDES) * actions * values)]
        everything = [
            *((cell, cell[1], number) for cell, number in self.cells.items()),
            *((cell, "account", number) for cell, number in self.peers.items()),
        ]
        for (action, _, name, value), side, number in everything:
            if side == "visits" or NUMBER[name] != attribute:
                continue
            at = 0 if value is None else self.numbers[attribute][value] - 1
            chosen = range(actions) if action is None else (self.numbers[0][action],)
            for one in chosen:
                lists[(_SIDES.index(side) * actions + one) * values + at].append(number)
        begins = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(entries) for entries in lists], out=begins[1:])
        if begins[-1] > np.iinfo(np.int32).max:
            raise Unsupported("the plan emits too many keys")
        return begins.astype(np.int32), np.array([key for keys in lists for key in keys], np.uint16)

    def _slots(self) -> tuple[Ints, Ints, Ints]:
        """Windows and slots of each key of accounts, one after the other, and where each key begins."""
        order = sorted(self.slots)
        begins = np.searchsorted([peer for peer, _ in order], np.arange(len(self.peers) + 1)).astype(np.int32)
        lanes = np.array([lane for _, lane in order], np.int32)
        return begins, lanes, np.array([self.slots[one] for one in order], np.int32)

    def _lane(self, window: int) -> int:
        return self.lanes[self._length(window)]

    def _need(self, keys: Iterable[Key]) -> int:
        """What a log must hold for the counts of these keys."""
        found = 0
        for key in keys:
            found |= 1 << NUMBER[key.attribute] if key.attribute is not None else 0
            found |= NEEDS_OTHER if key.side == "received" else 0
        return found

    def _column(self, column: Column) -> tuple[int, ...]:
        """One record: operation, needs, lane, other lane, keys from and to, split, window."""
        operation = column.operation
        keys = [self.plan.keys[k] for k in column.keys]
        windows = windows_of(column)
        lanes = [self._lane(window) for window in windows] or [0]
        cells = [self.cells.setdefault(_cell(key), len(self.cells)) for key in keys]
        self.key_of.update(zip(cells, column.keys, strict=True))
        needs, split = self._need(keys), column.split
        begin = len(self.keys)
        match operation:
            case "visits":
                operation, cells, needs = "cell", [self.visits], 0
            case "visits_per_month" | "last_visit":
                needs, cells = 0, []
            case "tenure":
                needs, cells = NEEDS_JOINED, []
            case "count" | "trend" | "first_time":
                operation = _of_keys(operation, len(keys))
            case "ratio":
                empty = not 0 < split < len(keys)
                operation = "missing" if empty else operation
            case "recency" | "sum_duration":
                cells, needs = cells[:1], self._need(keys[:1])
                if operation == "sum_duration":
                    needs |= NEEDS_DURATION
                    cells = [self.sums.setdefault(cells[0], len(self.sums))]
            case "completeness":
                if any(key.side != "given" for key in keys):
                    raise Unsupported("completeness of received rows")
                operation = operation if keys else "missing"
                needs |= NEEDS_FILLED
                self.keep |= _USES_FILLED
            case "surprise":
                received = keys[0].side == "received"
                self.keep |= _KEEP_RECEIVED if received else _KEEP_GIVEN
                split = int(received)
            case "peers":
                needs |= NEEDS_ACCOUNT
                slots = self._peer_slots(keys, lanes[0])
                self.keys += [*cells, *slots]
        if operation != "peers":
            self.keys += cells
        window = column.windows[0] if column.operation == "surprise" else 0
        record = (_OPERATIONS[operation], needs, lanes[0], lanes[-1], begin, begin + len(cells))
        return (*record, split if operation in ("ratio", "surprise") else 0, window)

    def _peer_slots(self, keys: list[Key], lane: int) -> list[int]:
        """Slots of the account's counts: whatever the side, these are the rows of colleagues as actors."""
        found = []
        for key in keys:
            action, _, attribute, value = _cell(key)
            peer = self.peers.setdefault((action, "given", attribute, value), len(self.peers))
            found.append(self.slots.setdefault((peer, lane), len(self.slots)))
        return found


def _of_keys(operation: str, keys: int) -> str:
    """A count of one key is a cell of the state, one of no key is missing."""
    if keys == 0:
        return "missing"
    return "cell" if operation == "count" and keys == 1 else operation
