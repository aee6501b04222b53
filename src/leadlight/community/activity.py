"""The log of a community: canonical batches in, integer columns kept, tables and the sweep's log out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community import spool
from leadlight.community.addresses import stand_in
from leadlight.community.entries import Entries, Kind, ranked, smallest, used_codes
from leadlight.community.spool import ArrowSpool, Spool
from leadlight.community.tables import SCHEMAS, time_us

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
NEVER = np.iinfo(np.int64).min
UTC = pa.timestamp("us", tz="UTC")

MEMBERS = ("member_id", "other_member_id")
TEXTS = ("action", "group_id", "other_role", "other_job_function", "other_domain", "source", "field", "email")
"""Few distinct values: codes. E-mail addresses too, so that no file holds one."""

IDS = ("event_id", "content_id")


@dataclass
class Activity:
    """A log that is complete: equally long columns, in memory or mapped from files without a name.

    Attributes
    ----------
    time : int64 array of shape (n,)
        occurred_at.
    known : int64 array or None
        known_at, the smallest int64 where null.
    codes : mapping
        Integer codes of identifiers and short texts, -1 for null.
    entries : mapping
        What the codes stand for; those of text are sorted.
    duration : float64 array or None
        Seconds, NaN where null.
    plain : mapping
        event_id, content_id and value as Arrow arrays; tags as lists of codes into `tag_entries`.
    tags : Array
        The tags that occur, sorted.
    tag_offsets, tag_codes : arrays or None
        Codes into `tags` of each row, each once, as the sweep reads them.
    spilled : bool
        Whether the columns are in files.
    """

    columns: list[str]
    time: Codes
    known: Codes | None
    codes: dict[str, NDArray[Any]]
    entries: dict[str, pa.Array]
    duration: NDArray[np.float64] | None
    plain: dict[str, pa.ChunkedArray]
    tag_entries: pa.Array
    tags: pa.Array
    tag_offsets: Codes | None
    tag_codes: NDArray[Any] | None
    spilled: bool

    def __len__(self) -> int:
        return len(self.time)

    def blocks(self) -> Iterator[slice]:
        """Yield slices of rows of bounded length."""
        yield from (slice(at, at + spool.BLOCK_ROWS) for at in range(0, len(self), spool.BLOCK_ROWS))

    def visible(self, rows: slice) -> Codes:
        """Return max(occurred_at, known_at) of some rows."""
        time = self.time[rows]
        return time if self.known is None else np.maximum(time, self.known[rows])

    def ids(self, column: str) -> pa.ChunkedArray:
        """Return the distinct identifiers of a column."""
        return pa.chunked_array([self.entries[column]])

    def table(self) -> pa.Table:
        """Return the canonical table, without addresses.

        Of a log in memory it has the canonical types. One that is in files is mapped, not read: identifiers and texts
        that are coded come as dictionary arrays.
        """
        if not self.spilled:
            return self.rows(slice(0, len(self))).drop_columns(["email"] if "email" in self.columns else [])
        return pa.table({c: self._mapped(c) for c in self.columns if c != "email"})

    def rows(self, rows: slice) -> pa.Table:
        """Return some rows with canonical types, stand-ins for addresses included."""
        return pa.table({c: self._decoded(c, rows) for c in self.columns})

    def _decoded(self, column: str, rows: slice) -> pa.Array | pa.ChunkedArray:
        if column == "occurred_at":
            return pa.array(self.time[rows]).cast(UTC)
        if column == "known_at" and self.known is not None:
            known = self.known[rows]
            return pa.array(known, mask=known == NEVER).cast(UTC)
        if column == "duration_s" and self.duration is not None:
            seconds = self.duration[rows]
            return pa.array(seconds, mask=np.isnan(seconds))
        if column in self.codes:
            codes = self.codes[column][rows]
            return self.entries[column].take(pa.array(codes, mask=codes < 0))
        values = self.plain[column].slice(rows.start, rows.stop - rows.start)
        if column != "tags":
            return values
        lists = _one(values)
        tags = self.tag_entries.take(lists.flatten())
        return pa.ListArray.from_arrays(_offsets(lists), tags, mask=lists.is_null())

    def _mapped(self, column: str) -> pa.Array | pa.ChunkedArray:
        if column == "occurred_at":
            return _arrow(self.time, UTC)
        if column == "known_at" and self.known is not None:
            return _arrow(self.known, UTC, self.known != NEVER)
        if column == "duration_s" and self.duration is not None:
            return _arrow(self.duration, pa.float64(), ~np.isnan(self.duration))
        if column in self.codes:
            codes = self.codes[column]
            indices = _arrow(codes, pa.from_numpy_dtype(codes.dtype), codes >= 0)
            return pa.DictionaryArray.from_arrays(indices, self.entries[column], safe=False)
        values = self.plain[column]
        if column != "tags":
            return values
        chunks = [
            pa.ListArray.from_buffers(
                pa.list_(pa.dictionary(pa.int32(), pa.string())),
                len(c),
                c.buffers()[:2],
                c.null_count,
                c.offset,
                children=[pa.DictionaryArray.from_arrays(c.values, self.tag_entries, safe=False)],
            )
            for c in values.chunks
        ]
        return pa.chunked_array(chunks, pa.list_(pa.dictionary(pa.int32(), pa.string())))


@dataclass
class ActivityBuilder:
    """Takes canonical batches and finishes as an `Activity`."""

    spilled: bool = False
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    entries: dict[str, Entries] = field(default_factory=dict)
    spools: dict[str, Spool] = field(default_factory=dict)
    arrows: dict[str, ArrowSpool] = field(default_factory=dict)

    def append(self, table: pa.Table, kinds: dict[str, pa.Array] | None = None) -> None:
        """Add a canonical batch.

        Parameters
        ----------
        table : Table
        kinds : mapping, optional
            Identifier columns before bad rows left them; their types are decided over all rows. By default of `table`.
        """
        if not self.columns:
            self._begin(table.column_names)
        for name, kind in self.kinds.items():
            kind.see(table[name] if kinds is None else kinds[name])
        for name in self.columns:
            self._add(name, _one(table[name]), table)
        self.rows += table.num_rows
        if self.rows > spool.SPILL_ROWS and not self.spilled:
            self.spilled = True
            for numbers in self.spools.values():
                numbers.spill()
            for values in self.arrows.values():
                values.spill()

    def hide_addresses(self) -> None:
        """Replace addresses by their stand-ins; no column holds them, only the entries do."""
        if "email" in self.entries:
            known = self.entries["email"].values.cast(pa.string())
            self.entries["email"].values = pa.array([stand_in(raw) for raw in known.to_pylist()], pa.string())

    def identifier_types(self) -> pa.Table:
        """Return one row that has the types of the members' identifiers, null where a column holds none."""
        columns = {}
        for name in MEMBERS:
            if name in self.columns:
                kind, values = self.kinds[name].type, self.entries[name].values
                columns[name] = values.slice(0, 1).cast(kind) if len(values) else pa.nulls(1, kind)
        return pa.table(columns)

    def unify(self, kinds: pa.Table) -> None:
        """Give the members' identifiers the types of a table."""
        for name in kinds.column_names:
            self.entries[name].cast(kinds[name].type)

    def visible(self) -> Iterator[tuple[int, Codes]]:
        """Yield (first row, max(occurred_at, known_at))."""
        if "known_at" not in self.spools:
            yield from self.spools["occurred_at"].blocks()
            return
        pairs = zip(self.spools["occurred_at"].blocks(), self.spools["known_at"].blocks(), strict=True)
        yield from ((at, np.maximum(time, known)) for (at, time), (_, known) in pairs)

    def finish(self, keep: Bools | None = None) -> Activity:
        """Return the rows to keep as an `Activity`; entries that no kept row holds are left out."""
        codes, entries = {}, {}
        for name in self.columns:
            if name in self.entries and name != "tags":
                codes[name], entries[name] = self._coded(name, keep)
        kept = {name: self._kept(name, keep) for name in self.arrows}
        tags, offsets, tag_codes = self._tags(kept.get("tags"))
        return Activity(
            columns=[c for c in SCHEMAS["activity"] if c in self.columns],
            time=self._number("occurred_at", keep).array(),
            known=self._number("known_at", keep).array() if "known_at" in self.spools else None,
            codes=codes,
            entries=entries,
            duration=self._number("duration_s", keep).array() if "duration_s" in self.spools else None,
            plain={name: grown.chunks() for name, grown in kept.items()},
            tag_entries=self.entries["tags"].values.cast(pa.string()) if "tags" in self.entries else tags,
            tags=tags,
            tag_offsets=offsets,
            tag_codes=tag_codes,
            spilled=self.spilled,
        )

    def _begin(self, columns: list[str]) -> None:
        self.columns = columns
        for name in columns:
            if name in MEMBERS or name in IDS:
                self.kinds[name] = Kind()
            if name in MEMBERS or name in TEXTS:
                self.entries[name] = Entries()
                self.spools[name] = Spool(np.int32)
            elif name in IDS:
                self.arrows[name] = ArrowSpool(pa.int64())
            elif name == "tags":
                self.entries[name] = Entries()
                self.arrows[name] = ArrowSpool(pa.list_(pa.int32()))
            elif name == "value":
                self.arrows[name] = ArrowSpool(pa.string())
            else:
                self.spools[name] = Spool(np.float64 if name == "duration_s" else np.int64)

    def _add(self, name: str, values: pa.Array, table: pa.Table) -> None:
        if name == "tags":
            codes = self.entries[name].codes(values.flatten())
            flat = pa.array(codes, mask=codes < 0)
            self.arrows[name].append(pa.ListArray.from_arrays(_offsets(values), flat, mask=values.is_null()))
        elif name in self.entries:
            self.spools[name].append(self.entries[name].codes(values))
        elif name in IDS:
            self._identifiers(name, values)
        elif name in self.arrows:
            self.arrows[name].append(values)
        elif name == "duration_s":
            self.spools[name].append(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False))
        else:
            self.spools[name].append(time_us(table, name, NEVER))

    def _identifiers(self, name: str, values: pa.Array) -> None:
        grown = self.arrows[name]
        if pa.types.is_string(self.kinds[name].type) and not pa.types.is_string(grown.kind):
            # Whole numbers until now, if anything: their plain form is what the text was.
            self.arrows[name] = grown = grown.rewritten(kind=pa.string())
        grown.append(values)

    def _coded(self, name: str, keep: Bools | None) -> tuple[NDArray[Any], pa.Array]:
        values = self.entries[name].values
        if values.type == pa.null():
            values = values.cast(self.kinds[name].type if name in self.kinds else pa.string())
        used = used_codes(self.spools[name], len(values), keep)
        if name in MEMBERS:
            places = np.flatnonzero(used[:-1])
            rank = np.full(len(used), -1, np.int32)
            rank[places] = np.arange(len(places), dtype=np.int32)
            kept = values.take(pa.array(places))
        else:
            kept, rank = ranked(values, used)
        codes = self.spools[name].rewritten(lambda block: rank[block], dtype=rank.dtype, keep=keep)
        return codes.array(), kept

    def _number(self, name: str, keep: Bools | None) -> Spool:
        return self.spools[name] if keep is None else self.spools[name].rewritten(keep=keep)

    def identifiers(self, name: str) -> pa.ChunkedArray:
        """Return event_id or content_id of all rows, in the type of the whole column."""
        grown = self.arrows[name]
        if grown.kind != self.kinds[name].type:
            grown = self.arrows[name] = grown.rewritten(kind=self.kinds[name].type)
        return grown.chunks()

    def _kept(self, name: str, keep: Bools | None) -> ArrowSpool:
        if name in IDS:
            self.identifiers(name)
        grown = self.arrows[name]
        return grown if keep is None else grown.rewritten(keep=keep)

    def _tags(self, spooled: ArrowSpool | None) -> tuple[pa.Array, Codes | None, NDArray[Any] | None]:
        if spooled is None:
            return pa.array([], pa.string()), None, None
        lists = spooled.chunks()
        entries = self.entries["tags"].values.cast(pa.string())
        used = np.zeros(len(entries) + 1, bool)
        for chunk in lists.chunks:
            used[pc.fill_null(chunk.flatten(), -1).to_numpy(zero_copy_only=False)] = True
        tags, rank = ranked(entries, used)
        offsets = Spool(np.int64, spilled=self.spilled)
        codes = Spool(smallest(len(tags)), spilled=self.spilled)
        offsets.append(np.zeros(1, np.int64))
        for chunk in lists.chunks:
            count, found = _distinct(chunk, rank)
            offsets.append(len(codes) + np.cumsum(count))
            codes.append(found)
        spooled.release()
        return tags, offsets.array(), codes.array()


def _distinct(lists: pa.Array, rank: NDArray[Any]) -> tuple[Codes, NDArray[Any]]:
    """Return how many different codes each list holds, and those codes, sorted within their list."""
    size = pc.fill_null(lists.value_lengths(), 0).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(lists), dtype=np.int64), size)
    codes = rank[pc.fill_null(lists.flatten(), -1).to_numpy(zero_copy_only=False)].astype(np.int64)
    pairs = np.sort(row[codes >= 0] * len(rank) + codes[codes >= 0])
    # Sorted by hand: numpy's unique goes through a hash table, which takes ten times as long.
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return np.bincount(pairs // len(rank), minlength=len(lists)), pairs % len(rank)


def _one(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return one array of what may be chunks."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _offsets(lists: pa.Array) -> pa.Array:
    """Return offsets that fit `lists.flatten()`, from 0."""
    size = pc.fill_null(lists.value_lengths(), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.append(0, np.cumsum(size)), pa.int32())


def _arrow(values: NDArray[Any], kind: pa.DataType, valid: Bools | None = None) -> pa.Array:
    """Return an Arrow array over the same memory."""
    bits = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)])
