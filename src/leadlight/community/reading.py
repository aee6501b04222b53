"""Any table a user may hold -> an Arrow table: paths, globs, frames, relations."""

from __future__ import annotations

import glob
import gzip
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadlight.errors import ColumnTypeError, InputError, SchemaError

PARQUET = (".parquet", ".pq")
DELIMITERS = (",", ";", "\t", "|")
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def read_table(source: Any, *, name: str, columns: Mapping[str, str] | None = None) -> pa.Table:
    """Return `source` as an Arrow table with canonical column names.

    Parameters
    ----------
    source : path, glob, list of paths, or frame
        CSV and Parquet files; pandas, polars, Arrow, DuckDB relations: anything with an Arrow stream. CSV is read as
        text, so that an identifier such as "007" stays what it is.
    name : str
        What to call the table in errors.
    columns : mapping, optional
        Canonical name to the name in the source; names that this table lacks are left to the other tables.

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
        table = _read_files(source, name)
    else:
        try:
            table = _read_frame(source, name)
        except pa.ArrowException as error:
            raise ColumnTypeError(f"The {name} table holds a column of mixed types: {error}") from error
    repeated = sorted({c for c in table.column_names if table.column_names.count(c) > 1})
    if repeated:
        raise SchemaError(f"The {name} table holds columns twice: {repeated}; keep one of each.")
    return _rename(table, name, columns or {})


def _read_frame(source: Any, name: str) -> pa.Table:
    if isinstance(source, (list, dict)):
        if isinstance(source, list):
            # Arrow takes the columns of the first row; later rows may hold more.
            names = list(dict.fromkeys(key for row in source for key in row))
            source = {key: [row.get(key) for row in source] for key in names}
        return pa.table(source)
    if type(source).__module__.startswith("pandas"):
        repeated = sorted({str(c) for c in source.columns[source.columns.duplicated()]})
        if repeated:
            raise SchemaError(f"The {name} table holds columns twice: {repeated}; keep one of each.")
        with warnings.catch_warnings():
            # pyarrow 25 reads columns with a zone in a way that pandas 3.1 deprecates; what it returns is right.
            warnings.filterwarnings(
                "ignore", message="Series.values returning an ndarray", category=DeprecationWarning
            )
            return pa.Table.from_pandas(source, preserve_index=False)
    if hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    raise InputError(
        f"The {name} table is a {type(source).__name__}; give a path, a glob, or a pandas, polars, Arrow or DuckDB table."
    )


def _read_files(source: str | Path | list[str | Path], name: str) -> pa.Table:
    patterns = source if isinstance(source, list) else [source]
    paths: list[str] = []
    for pattern in map(str, patterns):
        # A file whose own name holds brackets is a file, not a pattern.
        found = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
        paths.extend(found)
    if not paths:
        raise InputError(f"No file for the {name} table at {source!s}; looked in {Path.cwd()}.")
    kinds = {
        "parquet" if p.lower().endswith(PARQUET) else "csv" if p.lower().endswith(CSV) else p for p in paths
    }
    if len(kinds) > 1 or not kinds <= {"parquet", "csv"}:
        raise InputError(f"The {name} table has files of kinds {sorted(kinds)}; give all CSV or all Parquet.")
    return _query(paths, kinds.pop(), name)


def _query(paths: list[str], kind: str, name: str) -> pa.Table:
    """Read through DuckDB, closed to everything but these files."""
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
        for setting in (
            "enable_external_access",
            "autoinstall_known_extensions",
            "autoload_known_extensions",
        ):
            connection.execute(f"SET {setting} = false")
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
        return connection.sql(statement, params=values).to_arrow_table()
    except duckdb.Error as error:
        raise InputError(f"The {name} table cannot be read: {error}") from error
    finally:
        connection.close()


def _delimiter(path: str) -> str:
    """Return what separates the names in the first line."""
    opened = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return max(DELIMITERS, key=header.count)


def _rename(table: pa.Table, name: str, columns: Mapping[str, str]) -> pa.Table:
    names = list(table.column_names)
    for canonical, own in columns.items():
        if own not in names or own == canonical:
            continue
        if canonical in names:
            raise SchemaError(
                f"columns= maps {own!r} to {canonical!r}, but the {name} table already has a column {canonical!r}."
            )
        names[names.index(own)] = canonical
    return table.rename_columns(names)
