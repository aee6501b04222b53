"""Columns that grow batch by batch: in memory while they are small, else in a file without a name."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.errors import InputError

SPILL_ROWS = 4_000_000
"""A log of more rows than this is kept in files of the temporary folder (TMPDIR), not in memory."""

BLOCK_ROWS = 1 << 20
"""Rows that are changed at once where a whole column is rewritten."""


class Spool:
    """Numbers that are appended and then read as one array.

    The file has no name in any folder: nobody else opens it, and it goes with the last array that reads it, also when the
    process is killed.

    Parameters
    ----------
    dtype : dtype
    """

    def __init__(self, dtype: Any, *, spilled: bool = False) -> None:
        self.dtype = np.dtype(dtype)
        self._parts: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._map: NDArray[Any] | None = None
        self._length = 0
        if spilled:
            self.spill()

    def __del__(self) -> None:
        # A spool that is replaced before it is mapped; what is mapped needs no open file.
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._length

    @property
    def spilled(self) -> bool:
        """Whether the numbers are in a file."""
        return self._file is not None or self._map is not None

    def append(self, values: NDArray[Any]) -> None:
        """Add numbers at the end."""
        values = np.ascontiguousarray(values, self.dtype)
        self._length += len(values)
        if self._file is None:
            self._parts.append(values)
        elif len(values):
            _write(self._file, values)

    def spill(self) -> None:
        """Move what there is to a file; what comes goes there too."""
        if self.spilled:
            return
        self._file = tempfile.TemporaryFile(prefix="leadlight-")  # noqa: SIM115 - lives as long as the map
        for values in self._parts:
            if len(values):
                _write(self._file, values)
        self._parts = []

    def array(self) -> NDArray[Any]:
        """Return all numbers, read-only; nothing can be appended from now on where they are in a file."""
        if self._file is not None:
            self._file.flush()
            if self._length:
                mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
                self._map = np.frombuffer(mapped, self.dtype)
            else:
                self._map = np.empty(0, self.dtype)
            self._file.close()
            self._file = None
        if self._map is not None:
            return self._map
        whole = np.concatenate(self._parts) if self._parts else np.empty(0, self.dtype)
        whole.flags.writeable = False
        self._parts = [whole]
        return whole

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (first row, numbers); a file is read, not mapped, so that no page of it stays."""
        if self._file is None:
            whole = self.array()
            yield from ((at, whole[at : at + BLOCK_ROWS]) for at in range(0, len(whole), BLOCK_ROWS))
            return
        self._file.flush()
        self._file.seek(0)
        for at in range(0, self._length, BLOCK_ROWS):
            size = min(BLOCK_ROWS, self._length - at) * self.dtype.itemsize
            yield at, np.frombuffer(self._file.read(size), self.dtype)

    def rewritten(
        self,
        change: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
        *,
        dtype: Any = None,
        keep: NDArray[np.bool_] | None = None,
    ) -> Spool:
        """Return the numbers after a change, of the rows to keep."""
        result = Spool(self.dtype if dtype is None else dtype, spilled=self.spilled)
        for at, values in self.blocks():
            kept = values if keep is None else values[keep[at : at + len(values)]]
            result.append(kept if change is None else change(kept))
        return result


class ArrowSpool:
    """The same for values that are no plain numbers: Arrow arrays of one type.

    Parameters
    ----------
    kind : DataType
    """

    def __init__(self, kind: pa.DataType, *, spilled: bool = False) -> None:
        self.kind = kind
        self._chunks: list[pa.Array] = []
        self._file: IO[bytes] | None = None
        self._writer: Any = None
        self._done: pa.ChunkedArray | None = None
        self._map: mmap.mmap | None = None
        if spilled:
            self.spill()

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def spilled(self) -> bool:
        """Whether the values are in a file."""
        return self._file is not None

    def append(self, values: pa.Array) -> None:
        """Add values at the end."""
        values = values if values.type == self.kind else values.cast(self.kind)
        if self._writer is None:
            self._chunks.append(values)
        else:
            self._record(values)

    def spill(self) -> None:
        """Move what there is to a file; what comes goes there too."""
        if self.spilled:
            return
        self._file = tempfile.TemporaryFile(prefix="leadlight-")  # noqa: SIM115 - lives as long as the map
        try:
            self._writer = pa.ipc.new_file(self._file, pa.schema([("v", self.kind)]))
        except OSError as error:
            raise _full(error) from error
        for values in self._chunks:
            self._record(values)
        self._chunks = []

    def chunks(self) -> pa.ChunkedArray:
        """Return all values; nothing can be appended from now on where they are in a file."""
        if self._done is not None:
            return self._done
        if self._file is None or self._writer is None:
            return pa.chunked_array(self._chunks, self.kind)
        try:
            self._writer.close()
        except OSError as error:
            raise _full(error) from error
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        self._done = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._map))).read_all()["v"]
        return self._done

    def release(self) -> None:
        """Let go of the pages of the file that are in memory; they come back when they are read."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def rewritten(
        self,
        change: Callable[[pa.Array], pa.Array] | None = None,
        *,
        kind: pa.DataType | None = None,
        keep: NDArray[np.bool_] | None = None,
    ) -> ArrowSpool:
        """Return the values after a change, of the rows to keep."""
        result = ArrowSpool(self.kind if kind is None else kind, spilled=self.spilled)
        at = 0
        for chunk in self.chunks().chunks:
            kept = chunk if keep is None else chunk.filter(pa.array(keep[at : at + len(chunk)]))
            at += len(chunk)
            result.append(kept if change is None else change(kept))
        return result

    def _record(self, values: pa.Array) -> None:
        try:
            self._writer.write_batch(pa.record_batch([values], ["v"]))
        except OSError as error:
            raise _full(error) from error


def _write(file: IO[bytes], values: NDArray[Any]) -> None:
    try:
        file.write(values.data.cast("B"))
    except OSError as error:
        raise _full(error) from error


def _full(error: OSError) -> InputError:
    return InputError(
        f"The log is larger than {SPILL_ROWS:,} rows and cannot be set aside in {tempfile.gettempdir()} ({error}); "
        "make room there, about 100 bytes for each row, or name another folder in TMPDIR."
    )
