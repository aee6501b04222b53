"""Options that say what your columns and words are called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from leadlight.errors import InputError

DAY_FIRST: Final = {None: None, "day": True, "month": False}


def columns_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the mapping that ``--columns occurred_at=timestamp`` stands for.

    Raises
    ------
    InputError
        There is no "=".
    """
    found = {}
    for text in pairs:
        canonical, equals, own = text.partition("=")
        if not equals:
            raise InputError(f"--columns got {text!r}; write CANONICAL=OWN, such as occurred_at=timestamp.")
        found[canonical] = own
    return found


def values_of(pairs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the mapping that ``--values action.topic_viewed=view`` stands for.

    Raises
    ------
    InputError
        There is no column, no word, or no "=".
    """
    found: dict[str, dict[str, str]] = {}
    for text in pairs:
        column, dot, rest = text.partition(".")
        word, equals, ours = rest.rpartition("=")
        if not (column and dot and word and equals):
            raise InputError(
                f"--values got {text!r}; write COLUMN.YOURS=OURS, such as action.topic_viewed=view."
            )
        found.setdefault(column, {})[word] = ours
    return found
