"""The raw tables of a Stack Exchange site, from the official XML dump or from Parquet, in one schema."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadlight.errors import ColumnTypeError, InputError, SchemaError, closest

# Dump times carry no zone and are UTC; they stay naive here because rounding zoned times to a day needs a
# zone database.
TIME = pa.timestamp("us")
TAGS = pa.list_(pa.string())


class Column(NamedTuple):
    """A column of a raw table: its name in Parquet, its attribute in XML, its type."""

    name: str
    attribute: str
    type: pa.DataType
    required: bool = True


# Only what was dated when it happened. Columns that end in __snapshot (scores, views, reputation, the
# accepted answer) hold the value on the day of the dump and are therefore not even read.
TABLES: dict[str, tuple[Column, ...]] = {
    "users": (
        Column("user_id", "Id", pa.int64()),
        Column("created_at", "CreationDate", TIME),
    ),
    "posts": (
        Column("post_id", "Id", pa.int64()),
        Column("post_type_id", "PostTypeId", pa.int64()),
        Column("parent_id", "ParentId", pa.int64()),
        Column("created_at", "CreationDate", TIME),
        Column("owner_user_id", "OwnerUserId", pa.int64()),
        Column("tags", "Tags", TAGS, required=False),
    ),
    "comments": (
        Column("post_id", "PostId", pa.int64()),
        Column("created_at", "CreationDate", TIME),
        Column("user_id", "UserId", pa.int64()),
    ),
    "votes": (
        Column("vote_id", "Id", pa.int64()),
        Column("post_id", "PostId", pa.int64()),
        Column("vote_type_id", "VoteTypeId", pa.int64()),
        Column("date", "CreationDate", TIME),
        Column("user_id", "UserId", pa.int64(), required=False),
    ),
    "badges": (
        Column("user_id", "UserId", pa.int64()),
        Column("name", "Name", pa.string()),
        Column("awarded_at", "Date", TIME),
        Column("tag_based", "TagBased", pa.bool_(), required=False),
    ),
}
INDISPENSABLE = ("users", "posts")

CHUNK_BYTES = 4 << 20
PARQUET_ROWS = 1 << 17
LONGEST_ROW_BYTES = 64 << 20  # a post body is at most 30,000 characters; more is an attack on memory


def read_dump(path: str | os.PathLike[str]) -> dict[str, pa.Table]:
    """Read the raw tables of one site.

    Parameters
    ----------
    path : str or path-like
        A folder with ``users``, ``posts``, ``comments``, ``votes`` and ``badges``, each as ``.parquet`` or
        ``.xml`` (Parquet is preferred if both are there). Letter case of file names does not matter.

    Returns
    -------
    dict of str to pyarrow.Table
        One table for each key of `TABLES`, with its columns in its order; naive UTC microseconds. A table
        that the folder lacks is empty, and an optional column that a table lacks is null.

    Raises
    ------
    SchemaError
        If users or posts are absent, or a table lacks or repeats a column.
    ColumnTypeError
        If a Parquet column cannot be read as its type.
    InputError
        If `path` is no folder, a file is damaged, XML declares a document type, or a value is unreadable.
    """
    return {name: table.combine_chunks() for name, table in _whole(open_dump(path)).items()}


def _whole(parts: Mapping[str, Callable[[], Iterator[pa.RecordBatch]]]) -> dict[str, pa.Table]:
    return {name: pa.Table.from_batches(read(), _schema(TABLES[name])) for name, read in parts.items()}


def open_dump(path: str | os.PathLike[str]) -> dict[str, Callable[[], Iterator[pa.RecordBatch]]]:
    """Find the raw tables of one site; each is read, part by part, when it is called.

    Parameters
    ----------
    path : str or path-like
        As for `read_dump`.

    Returns
    -------
    dict of str to callable
        For each key of `TABLES` what returns its batches, none of a table that the folder lacks.

    Raises
    ------
    SchemaError
        If users or posts are absent. The other errors of `read_dump` come with the batches.
    InputError
        If `path` is no folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Pass the folder that holds Posts.xml or posts.parquet.")
    files = {file.name.lower(): file for file in sorted(folder.iterdir()) if file.is_file()}
    parts: dict[str, Callable[[], Iterator[pa.RecordBatch]]] = {}
    for name, columns in TABLES.items():
        if f"{name}.parquet" in files:
            parts[name] = partial(_read_parquet, files[f"{name}.parquet"], columns)
        elif f"{name}.xml" in files:
            parts[name] = partial(_read_xml, files[f"{name}.xml"], columns)
        elif name in INDISPENSABLE:
            raise SchemaError(
                f"{folder} holds neither {name}.parquet nor {name.capitalize()}.xml (found: "
                f"{', '.join(sorted(files)[:10]) or 'no files'}). Users and posts are needed."
            )
        else:
            parts[name] = partial(iter, ())
    return parts


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in columns])


def _read_parquet(file: Path, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            for column in columns:
                _check_column(file, column, names)
            held = [column.name for column in columns if column.name in names]
            for batch in parquet.iter_batches(PARQUET_ROWS, columns=held):
                arrays = [
                    _as_type(file, column, batch.column(column.name))
                    if column.name in held
                    else pa.nulls(len(batch), column.type)
                    for column in columns
                ]
                yield pa.record_batch(arrays, schema=_schema(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} cannot be read as Parquet: {error}. Export the table again.") from error


def _check_column(file: Path, column: Column, names: list[str]) -> None:
    seen = names.count(column.name)
    if seen > 1:
        raise SchemaError(f"{file} has {seen} columns named {column.name!r}. Keep one.")
    if seen == 0 and column.required:
        raise SchemaError(
            f"{file} lacks the column {column.name!r}{closest(column.name, names)}; "
            f"it has {', '.join(names) or 'none'}. Rename or add it."
        )


def _as_type(file: Path, column: Column, values: pa.Array) -> pa.Array:
    # Nanoseconds may be cut to microseconds; a number may not lose anything.
    safe = not pa.types.is_timestamp(values.type)
    try:
        return values.cast(column.type, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ColumnTypeError(
            f"{file}: column {column.name!r} is {values.type} and cannot be read as {column.type}: {error}. "
            "Convert it before the export."
        ) from error


def _read_xml(file: Path, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
    """Stream ``<row .../>`` elements; memory holds one chunk of text, never the document."""
    schema = _schema(columns)
    values: list[list[str | None]] = [[] for _ in columns]
    lines: list[int] = []
    attributes = [column.attribute for column in columns]
    depth = 0
    parser = expat.ParserCreate()

    def start(element: str, found: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 1:
            return
        if depth > 2 or element != "row":
            raise InputError(
                f"{file}, line {parser.CurrentLineNumber}: found <{element}> where <row .../> belongs. "
                "Pass the files of the official dump."
            )
        lines.append(parser.CurrentLineNumber)
        for cells, attribute in zip(values, attributes, strict=True):
            cells.append(found.get(attribute))

    def end(element: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*declaration: object) -> None:
        raise InputError(
            f"{file}, line {parser.CurrentLineNumber}: declares a document type, which the official dump "
            "never does. Remove the declaration, or download the dump again."
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    # Entities can be declared in a document type alone, so without one there is none to expand or to fetch.
    parser.StartDoctypeDeclHandler = refuse

    fed = 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - max(parser.CurrentByteIndex, 0) > LONGEST_ROW_BYTES:
                    raise InputError(
                        f"{file}, line {parser.CurrentLineNumber}: one element exceeds {LONGEST_ROW_BYTES} "
                        "bytes. The file is damaged; download the dump again."
                    )
                yield _take_batch(file, columns, schema, values, lines)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InputError(
            f"{file}, line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)}). "
            "The file is damaged or cut short; download the dump again."
        ) from error
    yield _take_batch(file, columns, schema, values, lines)


def _take_batch(
    file: Path,
    columns: tuple[Column, ...],
    schema: pa.Schema,
    values: list[list[str | None]],
    lines: list[int],
) -> pa.RecordBatch:
    """Convert the rows gathered so far and empty the lists."""
    arrays = [_parse(file, column, cells, lines) for column, cells in zip(columns, values, strict=True)]
    for cells in values:
        cells.clear()
    lines.clear()
    return pa.record_batch(arrays, schema=schema)


def _parse(file: Path, column: Column, cells: list[str | None], lines: list[int]) -> pa.Array:
    text = pa.array(cells, pa.string())
    if column.type == TAGS:
        return _split_tags(text)
    try:
        return text.cast(column.type)
    except pa.ArrowInvalid:
        line, cell = next(
            (n, c) for n, c in zip(lines, cells, strict=True) if not _is_readable(c, column.type)
        )
        raise InputError(
            f"{file}, line {line}: {column.attribute}={cell!r} cannot be read as {column.type}. "
            "Correct the value, or download the dump again."
        ) from None


def _is_readable(cell: str | None, type_: pa.DataType) -> bool:
    try:
        pa.scalar(cell, pa.string()).cast(type_)
    except pa.ArrowInvalid:
        return False
    return True


def _split_tags(text: pa.Array) -> pa.Array:
    """Split ``<a><b>`` (dumps until 2024) and ``|a|b|`` (since)."""
    bare = pc.utf8_trim(text, characters="<>|")
    bare = pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)
    return pc.split_pattern_regex(bare, pattern=r"><|\|").cast(TAGS)
