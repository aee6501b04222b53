"""Growing dictionaries: the entries of a column that comes in batches, and a code for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.spool import Spool

Codes = NDArray[np.int64]


class Kind:
    """Type of an identifier over all batches: int64 where all are whole numbers in their plain form, else string.

    A batch that holds no value has no say, unless no batch holds one.
    """

    def __init__(self) -> None:
        self.held: pa.DataType | None = None
        self.empty: pa.DataType | None = None

    def see(self, values: pa.Array) -> None:
        """Take the type of one more batch into account."""
        if values.null_count == len(values):
            self.empty = values.type
        elif self.held is None or pa.types.is_string(values.type):
            self.held = values.type

    @property
    def type(self) -> pa.DataType:
        """What the whole column is."""
        return self.held or self.empty or pa.string()


class Entries:
    """Distinct values in the order in which they came."""

    def __init__(self) -> None:
        self.values: pa.Array = pa.array([], pa.null())

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, values: pa.Array) -> NDArray[np.int32]:
        """Return the code of each value, -1 for null; values that are new get new codes."""
        encoded = values.dictionary_encode()
        batch = encoded.dictionary
        if not len(batch):
            return np.full(len(values), -1, np.int32)
        if not len(self.values):
            self.values = batch.slice(0, 0)
        if batch.type != self.values.type:
            # Whole numbers until now: their plain form is what the text was.
            self.cast(pa.string())
            batch = batch.cast(pa.string())
        found = pc.index_in(batch, value_set=self.values)
        new = found.is_null()
        lookup = np.append(pc.fill_null(found, 0).to_numpy(zero_copy_only=False), -1).astype(np.int32)
        fresh = np.flatnonzero(new.to_numpy(zero_copy_only=False))
        lookup[fresh] = len(self.values) + np.arange(len(fresh), dtype=np.int32)
        if len(fresh):
            self.values = pa.concat_arrays([self.values, batch.filter(new)])
        result: NDArray[np.int32] = lookup[
            pc.fill_null(encoded.indices, len(batch)).to_numpy(zero_copy_only=False)
        ]
        return result

    def cast(self, kind: pa.DataType) -> None:
        """Change the type of the entries; the codes stay."""
        self.values = self.values.cast(kind)


def ranked(entries: pa.Array, used: NDArray[np.bool_]) -> tuple[pa.Array, NDArray[Any]]:
    """Return the used entries, sorted, and the new code of each old one; the last place stands for none.

    Sorted entries make the codes independent of the order of rows.
    """
    places = np.flatnonzero(used[: len(entries)])
    kept = entries.take(pa.array(places))
    if len(kept):
        order = np.argsort(np.array(kept.to_pylist(), dtype=object))
        kept, places = kept.take(pa.array(order)), places[order]
    rank = np.full(len(entries) + 1, -1, np.int32)
    rank[places] = np.arange(len(places), dtype=np.int32)
    return kept, rank.astype(smallest(len(places)))


def smallest(entries: int) -> type[np.signedinteger[Any]]:
    """Return the integer type that holds the codes of so many entries."""
    return np.int16 if entries < np.iinfo(np.int16).max else np.int32


def used_codes(codes: Spool, size: int, keep: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return which of `size` codes occur in the rows to keep."""
    used = np.zeros(size + 1, bool)
    for at, block in codes.blocks():
        used[block if keep is None else block[keep[at : at + len(block)]]] = True
    return used
