"""Any table a user may hold -> batches of an Arrow table: paths, globs, frames, relations."""

from __future__ import annotations

import csv
import glob
import gzip
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from leadlight.errors import ColumnTypeError, InputError, SchemaError

PARQUET = (".parquet", ".pq")
DELIMITERS = (",", ";", "\t", "|")
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
BATCH_ROWS = 1 << 19
"""Rows that are read and converted at once; more of them are never held as text."""


@dataclass(frozen=True)
class Source:
    """A table that was opened and not read yet.

    Attributes
    ----------
    name : str
        What to call the table in errors.
    columns : list of str
        Canonical names where `columns=` gives them.
    schema : Schema
        As the source names its columns.
    raw : iterable of RecordBatch
    failed : callable
        What to raise if the source cannot be read to its end.
    """

    name: str
    columns: list[str]
    schema: pa.Schema
    raw: Iterable[pa.RecordBatch]
    failed: Callable[[Exception], Exception]

    def batches(self) -> Iterator[pa.Table]:
        """Yield tables of `BATCH_ROWS` rows, the last of fewer; one without rows if there are none. Once only."""
        waiting: list[pa.RecordBatch] = []
        rows, some = 0, False
        for batch in self._raw():
            at = 0
            while at < batch.num_rows:
                piece = batch.slice(at, BATCH_ROWS - rows)
                waiting.append(piece)
                rows, at = rows + piece.num_rows, at + piece.num_rows
                if rows == BATCH_ROWS:
                    yield self._table(waiting)
                    waiting, rows, some = [], 0, True
        if waiting or not some:
            yield self._table(waiting)

    def table(self) -> pa.Table:
        """Return all of it."""
        return pa.concat_tables(list(self.batches()))

    def _table(self, batches: list[pa.RecordBatch]) -> pa.Table:
        return pa.Table.from_batches(batches, self.schema).rename_columns(self.columns)

    def _raw(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self.raw
        except (pa.ArrowException, OSError) as error:
            raise self.failed(error) from error


def open_table(source: Any, *, name: str, columns: Mapping[str, str] | None = None) -> Source:
    """Open a table, whatever holds it; its rows are read batch by batch.

    Parameters
    ----------
    source : path, glob, list of paths, or frame
        CSV and Parquet files; pandas, polars, Arrow, DuckDB relations: anything with an Arrow stream. CSV is read as
        text, so that an identifier such as "007" stays what it is.
    name : str
        What to call the table in errors.
    columns : mapping, optional
        Canonical name to the name in the source; names that this table lacks are left to the other tables. "deals.email"
        is said of the deals alone.

    Raises
    ------
    InputError
        If no file is found or the source is of no known kind.
    SchemaError
        If a column is there twice, or a renamed one collides.
    """
    if isinstance(source, (str, Path)) or (
        isinstance(source, list) and source and isinstance(source[0], (str, Path))
    ):
        schema, raw = _open_files(source, name)

        def failed(error: Exception) -> Exception:
            return InputError(f"The {name} table cannot be read: {error}")
    else:

        def failed(error: Exception) -> Exception:
            return ColumnTypeError(f"The {name} table holds a column of mixed types: {error}")

        try:
            schema, raw = _open_frame(source, name)
        except pa.ArrowException as error:
            raise failed(error) from error
    repeated = sorted({c for c in schema.names if schema.names.count(c) > 1})
    if repeated:
        raise SchemaError(f"The {name} table holds columns twice: {repeated}; keep one of each.")
    return Source(name, renamed(schema.names, name, columns or {}), schema, raw, failed)


Opened = tuple[pa.Schema, Iterable[pa.RecordBatch]]


def _open_frame(source: Any, name: str) -> Opened:
    if isinstance(source, (list, dict)):
        if isinstance(source, list):
            # Arrow takes the columns of the first row; later rows may hold more.
            names = list(dict.fromkeys(key for row in source for key in row))
            source = {key: [row.get(key) for row in source] for key in names}
        source = pa.table(source)
    if type(source).__module__.startswith("pandas"):
        return _open_pandas(source, name)
    if isinstance(source, pa.Table):
        return source.schema, source.to_batches()
    if hasattr(source, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(source)
        return reader.schema, reader
    raise InputError(
        f"The {name} table is a {type(source).__name__}; give a path, a glob, or a pandas, polars, Arrow or DuckDB table."
    )


def _open_pandas(source: Any, name: str) -> Opened:
    repeated = sorted({str(c) for c in source.columns[source.columns.duplicated()]})
    if repeated:
        raise SchemaError(f"The {name} table holds columns twice: {repeated}; keep one of each.")
    with _quiet():
        # Types are those of whole columns: a part of one may hold no value, or whole numbers only.
        schema = pa.Schema.from_pandas(source, preserve_index=False)
    return schema, _pandas_batches(source, schema)


def _pandas_batches(source: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for at in range(0, len(source), BATCH_ROWS):
        with _quiet():
            part = pa.Table.from_pandas(source.iloc[at : at + BATCH_ROWS], schema, preserve_index=False)
        yield from part.to_batches()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # pyarrow 25 reads columns with a zone in a way that pandas 3.1 deprecates; what it returns is right.
        warnings.filterwarnings(
            "ignore", message="Series.values returning an ndarray", category=DeprecationWarning
        )
        yield


def _open_files(source: str | Path | list[str | Path], name: str) -> Opened:
    paths = find_files(source, name)
    kinds = {_kind(path) for path in paths}
    if not kinds <= {"parquet", "csv"}:
        other = min(kinds - {"parquet", "csv"})
        raise InputError(
            f"The {name} table is at {other}, which is no file in .csv, .tsv, .csv.gz, .tsv.gz or .parquet; "
            + (
                "give the files in it, such as 'folder/*.csv'."
                if Path(other).is_dir()
                else "read it with pandas, such as pandas.read_excel(path, dtype=str), and give the frame."
            )
        )
    if len(kinds) > 1:
        raise InputError(f"The {name} table has files of kinds {sorted(kinds)}; give all CSV or all Parquet.")
    if "csv" in kinds:
        for path in paths:
            _check_text(path, name)
    return _query(paths, kinds.pop(), name)


def _kind(path: str) -> str:
    """Return "parquet" or "csv", the path itself where it is neither."""
    if Path(path).is_dir():
        return path
    return "parquet" if path.lower().endswith(PARQUET) else "csv" if path.lower().endswith(CSV) else path


def find_files(source: Any, name: str | None = None) -> list[str]:
    """Return the files of a path, a glob or a list of them, sorted within each pattern.

    Parameters
    ----------
    source : path, glob or list of them
    name : str, optional
        Of the table, for the error.

    Raises
    ------
    InputError
        If there is none.
    """
    patterns = source if isinstance(source, (list, tuple)) else [source]
    paths: list[str] = []
    for pattern in map(os.fspath, patterns):
        # A file whose own name holds brackets is a file, not a pattern.
        found = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
        paths.extend(found)
    if not paths:
        table = "" if name is None else f" for the {name} table"
        raise InputError(f"No file{table} at {source!s}; looked in {Path.cwd()}.")
    return paths


def _query(paths: list[str], kind: str, name: str) -> Opened:
    """Open through DuckDB, closed to everything but these files."""
    import duckdb

    resolved = [str(Path(p).resolve()) for p in paths]
    # Names are patterns to DuckDB; the pattern and the file that it finds must both be allowed.
    patterns = [glob.escape(p) for p in resolved]
    values: list[Any] = [patterns]
    connection = duckdb.connect(":memory:")
    try:
        # A SET takes no bound value; a quote inside a path is doubled.
        allowed = ", ".join("'" + p.replace("'", "''") + "'" for p in {*resolved, *patterns})
        connection.execute(f"SET allowed_paths = [{allowed}]")
        if kind == "csv":
            # Each thread keeps the rows that others have not caught up with: memory, in exchange for order.
            connection.execute("SET threads = 2")
        for setting in (
            "enable_external_access",
            "autoinstall_known_extensions",
            "autoload_known_extensions",
        ):
            connection.execute(f"SET {setting} = false")
        # It goes to standard output, also where that is no terminal. In a notebook it is off and, without ipywidgets, must
        # not even be set.
        if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() != [(False,)]:
            connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        if kind == "csv":
            # Said, not guessed: the sniffer skips what it takes for titles and comments, and lines that are too long.
            statement = (
                "SELECT * FROM read_csv(?, all_varchar = true, union_by_name = true, header = true, delim = ?, "
                """quote = '"', escape = '"', comment = '', skip = 0)"""
            )
            values.append(_delimiter(paths[0]))
        else:
            statement = "SELECT * FROM read_parquet(?, union_by_name = true)"
        reader = connection.sql(statement, params=values).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        connection.close()
        raise _why_not(error, resolved if kind == "csv" else [], name) from error
    return reader.schema, _rows_of(reader, connection, resolved if kind == "csv" else [], name)


def _rows_of(reader: Any, connection: Any, texts: list[str], name: str) -> Iterator[pa.RecordBatch]:
    """Yield what the query finds; the connection is closed when it ends, however it ends."""
    import duckdb

    try:
        yield from reader
    except duckdb.Error as error:
        raise _why_not(error, texts, name) from error
    finally:
        connection.close()


def open_packed(path: str, mode: str, **options: Any) -> IO[Any]:
    """Open a file as `open` does, through gzip where its name ends in .gz."""
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    found: IO[Any] = opened(path, mode, **options)
    return found


def _check_text(path: str, name: str) -> None:
    """Raise `InputError` for a file that is empty or was written in two bytes a letter."""
    with open_packed(path, "rb") as file:
        begin = file.read(2)
    if not begin:
        raise InputError(f"The {name} table is at {path}, which is empty: not even names of columns.")
    if begin in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            f"The {name} table at {path} is UTF-16, not UTF-8. {_READ_WITH_PANDAS.format('utf-16')}"
        )


def _why_not(error: Exception, paths: list[str], name: str) -> InputError:
    """Return what to raise where DuckDB cannot read CSV: its own words speak of settings that nobody has here."""
    text = str(error)
    if "utf-8" in text and "encoding" in text.lower():
        for path in paths:
            if not _is_utf8(path):
                return InputError(
                    f"The {name} table at {path} is not UTF-8; older Windows programs write latin-1. "
                    f"{_READ_WITH_PANDAS.format('latin-1')}"
                )
    for path in paths:
        if found := _ragged(path):
            line, fields, expected = found
            return InputError(
                f"The {name} table cannot be read: line {line} of {path} has {fields} fields, the first line {expected}. "
                "A text with the separator in it needs quotes around it; mend the line, or leave it out."
            )
    return InputError(f"The {name} table cannot be read: {error}")


def _is_utf8(path: str) -> bool:
    try:
        with open_packed(path, "rt", encoding="utf-8") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _ragged(path: str) -> tuple[int, int, int] | None:
    """Return the first line that has another number of fields than the header, with both numbers."""
    with open_packed(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=_delimiter(path))
        try:
            expected = len(next(rows, []))
            for row in rows:
                if row and len(row) != expected:
                    return rows.line_num, len(row), expected
        except csv.Error:
            return None
    return None


_READ_WITH_PANDAS = "Save it as UTF-8, or give pandas.read_csv(path, dtype=str, encoding='{}')."


def _delimiter(path: str) -> str:
    """Return what separates the names in the first line."""
    with open_packed(path, "rt", encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return max(DELIMITERS, key=header.count)


def renamed(names: list[str], name: str, columns: Mapping[str, str]) -> list[str]:
    """Return a table's names with canonical ones in place of your own.

    Raises
    ------
    SchemaError
        If a renamed column collides with one that is there.
    """
    names = list(names)
    of_this = {c.partition(".")[2]: own for c, own in columns.items() if c.startswith(f"{name}.")}
    of_all = {c: own for c, own in columns.items() if "." not in c}
    for canonical, own in (of_all | of_this).items():
        if own not in names or own == canonical:
            continue
        if canonical in names:
            raise SchemaError(
                f"columns= maps {own!r} to {canonical!r}, but the {name} table already has a column {canonical!r}."
            )
        names[names.index(own)] = canonical
    return names
