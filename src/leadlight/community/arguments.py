"""What may be said of columns and their words when a community is read: slips are answered before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from leadlight.community.tables import SCHEMAS
from leadlight.errors import SchemaError, closest

_OF_WORDS = frozenset({"text", "role", "outcome", "flag"})


def check_columns_argument(columns: Mapping[str, str] | None, held: Mapping[str, Iterable[str]]) -> None:
    """Raise `SchemaError` unless `columns=` names canonical columns, and columns that a table holds.

    Parameters
    ----------
    columns : mapping or None
        As in `Community`.
    held : mapping
        Table to the names of its columns.
    """
    known = {c for schema in SCHEMAS.values() for c in schema}
    for given, own in (columns or {}).items():
        table, dot, canonical_name = given.rpartition(".")
        if dot and table not in SCHEMAS:
            raise SchemaError(f"columns= names the table {table!r}; there are {', '.join(SCHEMAS)}.")
        of_table = SCHEMAS[table] if dot else known
        if canonical_name not in of_table:
            turned = own in of_table and f"; write columns={{{own!r}: {given!r}}}, our name first"
            raise SchemaError(
                f"columns= names {given!r}, which is no canonical column{turned or closest(canonical_name, of_table)}."
            )
        names = {c for name, its in held.items() if name == table or not dot for c in its}
        if own not in names:
            raise SchemaError(
                f"columns= maps {own!r}, which {f'the {table} table does not have' if dot else 'no table has'}"
                f"{closest(own, names)}."
            )


def check_values_argument(values: Mapping[str, Mapping[str, str]] | None) -> None:
    """Raise `SchemaError` unless `values=` maps words of columns that hold words."""
    words = {
        c for schema in SCHEMAS.values() for c, kind in schema.items() if kind in _OF_WORDS and c != "email"
    }
    for column, meant in (values or {}).items():
        if column not in words:
            raise SchemaError(
                f"values= names {column!r}, which is no column of words{closest(column, words)}; those are "
                f"{', '.join(sorted(words))}."
            )
        if not isinstance(meant, Mapping) or not all(isinstance(w, str) for m in meant.items() for w in m):
            raise SchemaError(
                f"values={{{column!r}: ...}} is {meant!r}; give your words and ours, such as {{'topic_viewed': 'view'}}."
            )
