"""Which rows a feature measures, and how columns get their names from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from leadlight.errors import InputError
from leadlight.moments import Duration
from leadlight.plan import ATTRIBUTES, SIDES, Column, Key

Side = Literal["given", "received"]
Attribute = Literal["tag", "group", "role", "job_function"]
Windows = Duration | tuple[Duration, ...]
Actions = str | tuple[str, ...] | None

SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Builder(Protocol):
    """What a feature needs of the plan under construction."""

    def key(self, key: Key) -> int:
        """Return the position of the key, adding it if it is new."""

    def vocabulary(self, attribute: str, action: Actions, top: int) -> tuple[str, ...]:
        """Return the most frequent entries of the training period."""

    def has_accounts(self) -> bool:
        """Whether members belong to accounts."""


class Feature(Protocol):
    """Anything that writes columns into a plan."""

    def columns(self, builder: Builder) -> list[Column]:
        """Return the plan columns, registering their keys."""


def encode_entry(entry: str) -> str:
    """Percent-encode a vocabulary entry so that it can stand in a column name."""
    return "".join(chr(b) if chr(b) in SAFE else f"%{b:02X}" for b in entry.encode())


def windows_of(window: Windows) -> tuple[Duration, ...]:
    """Return the windows as a tuple."""
    return window if isinstance(window, tuple) else (window,)


def stem_of(action: Actions, side: Side = "given") -> str:
    """Return the name of actions: "post_or_question", "answer_received", "activity"."""
    names = [a for a in actions_of(action) if a is not None]
    return ("_or_".join(names) or "activity") + ("_received" if side == "received" else "")


def actions_of(action: Actions) -> tuple[str | None, ...]:
    """Return the actions as a tuple; (None,) is all activity."""
    return action if isinstance(action, tuple) else (action,)


def single(action: Actions, what: str) -> str | None:
    """Return the one action that a feature takes.

    Raises
    ------
    InputError
        There are several.
    """
    if isinstance(action, tuple):
        raise InputError(f"{what} takes one action, not {action!r}; write one {what} for each.")
    return action


@dataclass(frozen=True)
class Selection:
    """Rows of the log, and whether they are measured together or by the entries of a vocabulary.

    Parameters
    ----------
    action : str, tuple of str or None
        Verb or verbs; None is all activity.
    window : window or tuple of windows
        A column each.
    side : {"given", "received"}
        What the member did, or what others directed at the member.
    by : {"tag", "group", "role", "job_function"}, optional
        One column for each entry: of `only`, or of the `top` most frequent of the training period.
    top : int
    only : tuple of str
        Entries that you name yourself. They need no minimum of members, since you chose them.
    same_domain : bool
        Only rows whose other party has the member's own e-mail domain.
    total : str, optional
        One column for all these entries together, under this name. A row with two of the tags counts twice.
    """

    action: Actions = None
    window: Windows = "all"
    side: Side = "given"
    by: Attribute | None = None
    top: int = 20
    only: tuple[str, ...] = ()
    same_domain: bool = False
    total: str | None = None

    def __post_init__(self) -> None:
        what = type(self).__name__
        if self.side not in SIDES or (self.by is not None and self.by not in ATTRIBUTES):
            raise InputError(
                f"{what} has side={self.side!r}, by={self.by!r}; use {SIDES} and one of {ATTRIBUTES}."
            )
        if self.by is not None and self.same_domain:
            raise InputError(f"{what} takes by= or same_domain=True, not both; write one {what} for each.")
        if isinstance(self.only, str):
            raise InputError(f"only={self.only!r} is a text; give a tuple: only=({self.only!r},).")
        if self.only and self.by is None:
            raise InputError(f"{what} has only={self.only!r} and no by=; say of what, such as by='tag'.")
        if self.total is not None and (self.by is None or not _NAME.fullmatch(self.total)):
            raise InputError(
                f"{what} has total={self.total!r} and by={self.by!r}; total= is a name in small letters for all entries "
                "of by= together."
            )

    def stem(self) -> str:
        """Return the name of the rows, without entries, measure and window."""
        return stem_of(self.action, self.side) + ("_same_domain" if self.same_domain else "")

    def entries(self, builder: Builder) -> tuple[str, ...]:
        """Return the entries that make a column each, or one together."""
        if self.by is None:
            return ()
        return self.only or builder.vocabulary(self.by, self.action, self.top)

    def keys(self, builder: Builder, entry: str | None = None) -> tuple[int, ...]:
        """Return the keys of the rows, one for each action; with an entry those that hold it."""
        attribute: str | None = None if entry is None else self.by
        value = entry
        if self.same_domain:
            attribute, value = "same_domain", "yes"
        return tuple(builder.key(Key(a, self.side, attribute, value)) for a in actions_of(self.action))

    def named(self, builder: Builder) -> list[tuple[str, tuple[int, ...]]]:
        """Return (name without measure and window, keys) for each column of one window."""
        if self.by is None:
            return [(self.stem(), self.keys(builder))]
        # "tag.visa" rather than "tag.visa_activity": all activity goes without saying.
        kind = "" if self.action is None and self.side == "given" else f"_{self.stem()}"
        entries = self.entries(builder)
        if self.total is not None:
            # No row holds "", so that a log without entries says missing or zero, and keeps the column.
            together = tuple(k for entry in entries or ("",) for k in self.keys(builder, entry))
            return [(f"{self.total}{kind}", together)]
        return [(f"{self.by}.{encode_entry(e)}{kind}", self.keys(builder, e)) for e in entries]
