"""Rows that could not be used, saved whole with the reason: to be mended at their source."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from leadlight.community.tables import SCHEMAS


class RefusedRows:
    """A folder that takes refused rows, as JSON lines in one file for each table that had some.

    Parameters
    ----------
    folder : path-like
        Made where it is missing. Files of an earlier reading are replaced, or removed where nothing is refused any more.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, IO[str]] = {}

    def add(self, table: str, first: int, rows: pa.Table, reasons: np.ndarray[Any, Any]) -> None:
        """Save the rows that have a reason; `first` is the number of the first row in its table."""
        for at in np.flatnonzero(reasons != None):  # noqa: E711 - element by element
            values = rows.slice(int(at), 1).to_pylist()[0]
            said = {"row": first + int(at), "reason": reasons[at], "values": values}
            self._file(table).write(json.dumps(_plain(said)) + "\n")

    def finish(self) -> None:
        """Put the files in their places."""
        for table in SCHEMAS:
            place = self._folder / f"{table}.jsonl"
            if table not in self._files:
                place.unlink(missing_ok=True)
                continue
            self._files[table].close()
            os.replace(self._unfinished(table), place)

    def drop(self) -> None:
        """Leave nothing of a reading that failed; files of an earlier one stay."""
        for table, file in self._files.items():
            file.close()
            self._unfinished(table).unlink(missing_ok=True)

    def _file(self, table: str) -> IO[str]:
        if table not in self._files:
            self._files[table] = self._unfinished(table).open("w", encoding="utf-8")
        return self._files[table]

    def _unfinished(self, table: str) -> Path:
        return self._folder / f".{table}.{os.getpid()}"


def _plain(value: Any) -> Any:
    """Return what JSON can hold; what it has no form for, as text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
