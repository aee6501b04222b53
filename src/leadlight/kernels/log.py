"""The activity log as the sweep reads it: integer arrays and small dictionaries, one log or one member's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]


@dataclass(frozen=True)
class EncodedLog:
    """An activity log of `n` rows in any order, dictionary-encoded.

    Attributes
    ----------
    actor : int64 array of shape (n,)
        Code of the member who acted; -1: nobody whose features are asked for.
    time : int64 array of shape (n,)
        When it happened, UTC microseconds.
    action : integer array of shape (n,)
        Code into `dictionaries["action"]`.
    visible_from : int64 array of shape (n,) or None
        max(occurred_at, known_at); None where everything was known when it happened.
    other : int64 array or None
        Code of the other member, -1 for none. None: the log does not say.
    group, role, job_function, field_code : integer arrays or None
        Codes into the dictionary of that name, -1 for none.
    filled : bool array or None
        Whether a profile update left its field filled.
    same_domain : bool array or None
        Whether the other member's domain is the member's own.
    duration_ms : int64 array or None
        Duration in thousandths of a second.
    tag_offsets, tag_codes : int64 and integer arrays or None
        Tags of row i are `tag_codes[tag_offsets[i]:tag_offsets[i + 1]]`, each at most once.
    dictionaries : mapping
        "action", "tag", "group", "role", "job_function", "field" to their entries.
    """

    actor: Ints
    time: Ints
    action: Ints
    visible_from: Ints | None = None
    other: Ints | None = None
    group: Ints | None = None
    role: Ints | None = None
    job_function: Ints | None = None
    field_code: Ints | None = None
    filled: NDArray[np.bool_] | None = None
    same_domain: NDArray[np.bool_] | None = None
    duration_ms: Ints | None = None
    tag_offsets: Ints | None = None
    tag_codes: Ints | None = None
    dictionaries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    def code(self, dictionary: str, value: str) -> int:
        """Return the code of `value`, or -2 where the log never holds it (-1 means none)."""
        entries = self.dictionaries.get(dictionary, ())
        return entries.index(value) if value in entries else -2
