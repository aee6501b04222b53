"""A member's state as bytes, and back: compressed columns of integers, checked; nothing in them is evaluated.

    LLMS | format: 1 byte | checksum: 16 bytes | plan: 16 bytes | zlib of (length: 4 bytes | JSON | columns)

The checksum finds damage. Whoever edits bytes can write one that fits, so that everything is checked again when it is read.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.kernels.program import Remembered
from leadlight.kernels.start import NEVER, Start
from leadlight.plan import Plan
from leadlight.runtime.event_needs import Needs, needs_of
from leadlight.runtime.event_table import OPTIONAL, REQUIRED
from leadlight.runtime.state_rows import CODED, HeldRows

FORMAT: Final = 1
MOST_BYTES: Final = 1 << 26
"""More than this is no state of a member, unpacked."""

MEMBER: Final = 0
_MAGIC: Final = b"LLMS"
_HEAD: Final = struct.Struct("<4sB16s16s")
_LENGTH: Final = struct.Struct("<I")
_PACKED: Final = struct.Struct("<IBqQ")
_EDGE: Final = 1 << 62
_SUMS: Final = ("rows", "first_given", "first_received", "newest", "newest_duration_ms", "visits", "visit")

Ints = NDArray[Any]


@dataclass(frozen=True)
class Stored:
    """What is stored of a state: facts and column names, a few numbers, what was folded, and the rows that are held."""

    facts: dict[str, Any]
    names: tuple[str, ...]
    scalars: dict[str, Any]
    start: Start
    rows: HeldRows


def _fingerprint(plan: Plan) -> bytes:
    # The codes of the rows are positions in the dictionaries.
    text = plan.digest + json.dumps({k: list(v) for k, v in needs_of(plan).dictionaries.items()})
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


fingerprint: Final = Remembered(_fingerprint)
"""What a state knows its plan by, 16 bytes."""


def write_state(plan: Plan, state: Stored) -> bytes:
    """Return the bytes of a state; equal states have equal bytes."""
    start, rows = state.start, state.rows.take(_order(state.rows))
    sums = (start.rows, *start.first, start.newest, start.newest_duration_ms, start.visits, start.visit)
    header = {
        "facts": state.facts,
        "names": state.names,
        **state.scalars,
        **dict(zip(_SUMS, sums, strict=True)),
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    keys = np.flatnonzero(start.count)
    columns: list[Ints] = [
        np.diff(keys, prepend=0),
        start.count[keys],
        start.duration_ms[keys],
        start.last[keys],
        start.filled[keys],
        np.diff(rows.column("time"), prepend=0),
        rows.column("visible") - rows.column("time"),
        rows.column("actor") != MEMBER,
        *(rows.column(name) for name in _plain_columns(rows)),
        np.diff(rows.offsets[: rows.n + 1]),
        rows.tags[: int(rows.offsets[rows.n])],
    ]
    body = zlib.compress(b"".join([_LENGTH.pack(len(text)), text, *map(_packed, columns)]), 6)
    mark = fingerprint(plan)
    return _HEAD.pack(_MAGIC, FORMAT, _checksum(mark + body), mark) + body


def read_state(data: bytes, plan: Plan) -> Stored:
    """Return a state from its bytes.

    Raises
    ------
    InputError
        They are damaged, of another plan or of a newer format, or no state at all.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError(f"The state is a {type(data).__name__}; give the bytes of to_bytes().")
    data = bytes(data)
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        raise InputError(
            "These bytes are no member's state, or its beginning is damaged; make it new from the events."
        )
    _, version, checksum, mark = _HEAD.unpack_from(data)
    if version != FORMAT:
        raise InputError(f"The state has format {version}; this version of leadlight reads {FORMAT}.")
    if checksum != _checksum(data[_HEAD.size - 16 :]):
        raise _damaged("its checksum does not fit")
    if mark != fingerprint(plan):
        raise InputError(
            "The state was made for another plan. Make a new one with scorer.state() from the events."
        )
    try:
        return _Reader(_unpacked(data[_HEAD.size :]), plan).state()
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
        struct.error,
        zlib.error,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(f"{type(error).__name__}: {error}") from error


def _damaged(what: str) -> InputError:
    return InputError(f"The state is damaged: {what}. Read it again, or make it new from the events.")


def _require(sound: Any, what: str) -> None:
    if not sound:
        raise _damaged(what)


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _order(rows: HeldRows) -> NDArray[np.int64]:
    """An order that how the rows came does not change."""
    plain = [rows.column(name) for name in (*reversed(_plain_columns(rows)), "actor", "visible", "time")]
    return np.lexsort(plain)


def _plain_columns(rows: HeldRows) -> list[str]:
    """Columns that are stored as they are."""
    return [name for name in rows.columns if name not in ("actor", "other", "time", "visible")]


def _packed(values: Ints) -> bytes:
    """Whole numbers as (value - least) / step, in the fewest bytes that hold each."""
    wide = values.astype(np.int64) if values.dtype != np.uint64 else values.view(np.int64)
    least = int(wide.min()) if len(wide) else 0
    above = wide.astype(np.uint64) - np.uint64(least % (1 << 64))
    step = int(np.gcd.reduce(above)) or 1 if len(above) else 1
    above //= np.uint64(step)
    most = int(above.max(initial=0))
    size = next(size for size in (1, 2, 4, 8) if most < 1 << (8 * size))
    # Bytes of equal weight side by side compress better.
    planes = above.astype(f"<u{size}").view(np.uint8).reshape(len(above), size).T
    return _PACKED.pack(len(above), size, least, step) + planes.tobytes()


def _unpacked(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    found = inflater.decompress(data, MOST_BYTES)
    _require(inflater.eof and not inflater.unused_data, "it ends too early, or too late")
    return found


class _Reader:
    def __init__(self, data: bytes, plan: Plan) -> None:
        self._data, self._at = data, 0
        self._plan, self._needs = plan, needs_of(plan)

    def state(self) -> Stored:
        (size,) = _LENGTH.unpack(self._take(_LENGTH.size))
        header = json.loads(self._take(size))
        _require(isinstance(header, dict), "its header is no dict")
        facts, names = _facts(header["facts"]), header["names"]
        known = (*REQUIRED, *OPTIONAL)
        _require(isinstance(names, list) and all(name in known for name in names), "it names unknown columns")
        optional = {name: header[name] for name in ("keep", "oldest_at")}
        _require(all(value is None or _whole(value) for value in optional.values()), "a moment is no number")
        folded = header["folded"]
        _require(
            isinstance(folded, list) and len(folded) == 3 and all(map(_whole, folded)),
            "a moment is no number",
        )
        start, rows = self._start(header), self._rows(self._needs)
        _require(self._at == len(self._data), "it goes on after its end")
        _require(
            not rows.n or int(rows.column("time").min()) > folded[0], "rows are older than what was folded"
        )
        return Stored(facts, tuple(names), {**optional, "folded": folded}, start, rows)

    def _take(self, size: int) -> bytes:
        _require(size <= len(self._data) - self._at, "it ends too early")
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def _column(self, rows: int | None = None) -> NDArray[np.int64]:
        n, size, least, step = _PACKED.unpack(self._take(_PACKED.size))
        _require(size in (1, 2, 4, 8) and (rows is None or n == rows), "a column has another length")
        planes = np.frombuffer(self._take(n * size), np.uint8).reshape(size, n)
        above = np.ascontiguousarray(planes.T).view(f"<u{size}").reshape(n).astype(np.uint64)
        # Modulo 2^64, as it was packed.
        return (above * np.uint64(step) + np.uint64(least % (1 << 64))).view(np.int64)

    def _start(self, header: Mapping[str, Any]) -> Start:
        sums = [header[name] for name in _SUMS]
        _require(all(map(_whole, sums)), "a sum is no number")
        total, first_given, first_received, newest, newest_duration, visits, visit = sums
        count = len(self._plan.keys)
        keys = self._column()
        n = len(keys)
        _require(n <= count and not (keys < 0).any() and not (keys[1:] == 0).any(), "keys are not in order")
        keys = np.cumsum(keys)
        _require(_within(keys, 0, count), "it counts what the plan does not name")
        counts, durations, last, filled = (self._column(n) for _ in range(4))
        _require(
            0 <= visits <= total and (not n or 0 < counts.min() <= counts.max() <= total),
            "a count is impossible",
        )
        _require(_within(filled, 0, 2), "a flag is no flag")
        empty = Start.empty(self._plan)

        def spread(values: Ints, into: Ints) -> Any:
            found = into.copy()
            found[keys] = values
            return found

        return Start(
            rows=total,
            count=spread(counts, empty.count),
            duration_ms=spread(durations, empty.duration_ms),
            last=spread(last, empty.last),
            filled=spread(filled, empty.filled),
            first=(first_given, first_received),
            newest=newest,
            newest_duration_ms=newest_duration,
            visits=visits,
            visit=visit,
        )

    def _rows(self, needs: Needs) -> HeldRows:
        found = HeldRows(needs)
        time = self._column()
        n = found.n = len(time)
        time, delay, received = np.cumsum(time), self._column(n), self._column(n)
        _require(not n or (time.min() > -_EDGE and time.max() < _EDGE), "a time is impossible")
        _require(_within(delay, 0, 2 * _EDGE) and _within(received, 0, 2), "a row is impossible")
        _require(not n or bool((delay < _EDGE - time).all()), "a row becomes known too late")
        columns = {"time": time, "visible": time + delay, "actor": received, "other": received - 1}
        dictionaries = needs.dictionaries
        for name in _plain_columns(found):
            values = columns[name] = self._column(n)
            if name in ("action", *CODED):
                _require(
                    _within(values, -1, len(dictionaries[name])), f"{name} holds codes that mean nothing"
                )
            elif name in ("filled", "same_domain"):
                _require(_within(values, 0, 2), f"{name} holds no flags")
        for name, values in found.columns.items():
            wide = columns[name]
            found.columns[name] = wide.view(np.uint64) if name == "event" else wide.astype(values.dtype)
        lengths, tags = self._column(n), self._column()
        _require(
            _within(lengths, 0, len(tags) + 1) and int(lengths.sum()) == len(tags), "tags do not fit the rows"
        )
        _require(_within(tags, 0, len(dictionaries["tag"])), "tags hold codes that mean nothing")
        found.offsets = np.zeros(n + 1, np.int64)
        np.cumsum(lengths, out=found.offsets[1:])
        inside = np.ones(len(tags), np.bool_)
        inside[found.offsets[:-1][lengths > 0]] = False
        _require(not ((np.diff(tags, prepend=0) <= 0) & inside).any(), "a row holds a tag twice")
        found.tags = tags.astype(np.int32)
        return found


def _facts(facts: Any) -> dict[str, Any]:
    _require(
        isinstance(facts, dict) and set(facts) <= {"member_id", "email_domain", "joined_at"},
        "facts are no facts",
    )
    for name in ("member_id", "email_domain"):
        _require(facts.get(name) is None or isinstance(facts[name], str), "a fact is no text")
    _require("joined_at" not in facts or _whole(facts["joined_at"]), "a fact is no moment")
    return dict(facts)


def _whole(value: Any) -> bool:
    return type(value) is int and NEVER <= value < -NEVER


def _within(values: Ints, low: int, high: int) -> bool:
    return not len(values) or (int(values.min()) >= low and int(values.max()) < high)
