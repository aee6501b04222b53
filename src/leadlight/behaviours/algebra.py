"""The algebra: frozen values that say what to measure. Column names are derived, never typed.

Every value knows how to write itself into a plan through a `Builder`; none holds a callable. `window` is "12h", "30d",
"4w", a timedelta, "all", or a tuple of these, which gives a column each. Windows are `[cutoff - window, cutoff)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from leadlight.errors import InputError
from leadlight.moments import ALL, Duration, window_name, window_us
from leadlight.plan import ATTRIBUTES, SIDES, Column, Key

Side = Literal["given", "received"]
Attribute = Literal["tag", "group", "role", "job_function"]
Windows = Duration | tuple[Duration, ...]
Actions = str | tuple[str, ...] | None

SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


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


def _actions(action: Actions) -> tuple[str | None, ...]:
    return action if isinstance(action, tuple) else (action,)


def _stem(action: Actions, side: Side) -> str:
    names = [a for a in _actions(action) if a is not None]
    return ("_or_".join(names) or "activity") + ("_received" if side == "received" else "")


def _keys(builder: Builder, action: Actions, side: Side) -> tuple[int, ...]:
    return tuple(builder.key(Key(a, side)) for a in _actions(action))


def _single(action: Actions, what: str) -> str | None:
    if isinstance(action, tuple):
        raise InputError(f"{what} takes one action, not {action!r}; write one {what} for each.")
    return action


@dataclass(frozen=True)
class Count:
    """Number of rows in the window.

    Parameters
    ----------
    action : str, tuple of str or None
        Verb or verbs; None counts all activity.
    window : window or tuple of windows
    side : {"given", "received"}
        What the member did, or what others directed at the member.
    by : {"tag", "group", "role", "job_function"}, optional
        One column for each entry: of `only`, or of the `top` most frequent of the training period.
    same_domain : bool
        Count only rows whose other party has the member's own e-mail domain.
    """

    action: Actions = None
    window: Windows = "all"
    side: Side = "given"
    by: Attribute | None = None
    top: int = 20
    only: tuple[str, ...] = ()
    same_domain: bool = False

    def __post_init__(self) -> None:
        if self.side not in SIDES or (self.by is not None and self.by not in ATTRIBUTES):
            raise InputError(
                f"Count has side={self.side!r}, by={self.by!r}; use {SIDES} and one of {ATTRIBUTES}."
            )
        if self.by is not None and self.same_domain:
            raise InputError("Count takes by= or same_domain=True, not both; write one Count for each.")

    def stem(self) -> str:
        """Return the name without measure and window."""
        return _stem(self.action, self.side) + ("_same_domain" if self.same_domain else "")

    def groups(self, builder: Builder) -> list[tuple[str, tuple[int, ...]]]:
        """Return (name without window, keys) for each column of one window."""
        if self.by is None:
            if not self.same_domain:
                return [(f"{self.stem()}_count", _keys(builder, self.action, self.side))]
            keys = [builder.key(Key(a, self.side, "same_domain", "yes")) for a in _actions(self.action)]
            return [(f"{self.stem()}_count", tuple(keys))]
        entries = self.only or builder.vocabulary(self.by, self.action, self.top)
        measure = "count"
        if self.action == "join_group" and self.by == "group" and self.side == "given":
            measure = "joined"
        elif self.action is not None or self.side == "received":
            measure = f"{self.stem()}_count"
        return [
            (
                f"{self.by}.{encode_entry(entry)}_{measure}",
                tuple(builder.key(Key(a, self.side, self.by, entry)) for a in _actions(self.action)),
            )
            for entry in entries
        ]

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        return [
            Column(f"{name}_{window_name(window)}", "count", keys, (window_us(window),))
            for name, keys in self.groups(builder)
            for window in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Sum:
    """Seconds spent: the sum of `duration_s` over the rows in the window."""

    action: Actions = None
    window: Windows = "all"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        key = builder.key(Key(_single(self.action, "Sum")))
        return [
            Column(
                f"{_stem(self.action, 'given')}_duration_s_{window_name(w)}",
                "sum_duration",
                (key,),
                (window_us(w),),
            )
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Recency:
    """Days since the newest row; missing where there is none."""

    action: Actions = None
    side: Side = "given"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        key = builder.key(Key(_single(self.action, "Recency"), self.side))
        return [Column(f"{_stem(self.action, self.side)}_recency_days", "recency", (key,))]


@dataclass(frozen=True)
class FirstTime:
    """1 where the member's first row ever lies in the window."""

    action: Actions
    window: Windows = "30d"
    side: Side = "given"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        keys = _keys(builder, self.action, self.side)
        stem = _stem(self.action, self.side)
        return [
            Column(f"{stem}_first_time_{window_name(w)}", "first_time", keys, (window_us(w),))
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Trend:
    """(count + 1) in the window over (count + 1) in the window of equal length before it."""

    action: Actions = None
    window: Windows = "30d"
    side: Side = "given"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        keys = _keys(builder, self.action, self.side)
        stem = _stem(self.action, self.side)
        return [
            Column(f"{stem}_trend_{window_name(w)}", "trend", keys, (_finite(w, "Trend"),))
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Surprise:
    """(count - expected) / sqrt(expected + 1), expected from the member's own rate before the window.

    Missing while the member's history is shorter than the window.
    """

    action: Actions = None
    window: Windows = "30d"
    side: Side = "given"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        keys = _keys(builder, self.action, self.side)
        stem = _stem(self.action, self.side)
        return [
            Column(f"{stem}_surprise_{window_name(w)}", "surprise", keys, (_finite(w, "Surprise"),))
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Ratio:
    """One count over another, each over its own window; missing where the denominator is zero."""

    numerator: Count
    denominator: Count

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        above, below = self.numerator, self.denominator
        if isinstance(above.window, tuple) or isinstance(below.window, tuple):
            raise InputError("Ratio takes counts with one window each.")
        top = tuple(k for _, keys in above.groups(builder) for k in keys)
        bottom = tuple(k for _, keys in below.groups(builder) for k in keys)
        name = f"{_ratio_part(above)}_per_{_ratio_part(below)}_{window_name(above.window)}"
        if window_us(above.window) != window_us(below.window):
            name += f"_of_{window_name(below.window)}"
        return [
            Column(name, "ratio", top + bottom, (window_us(above.window), window_us(below.window)), len(top))
        ]


@dataclass(frozen=True)
class Distinct:
    """How many entries of a vocabulary occur in the window."""

    of: Attribute
    window: Windows = "90d"
    action: Actions = None
    top: int = 200

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        return _vocabulary_columns(builder, self.of, self.action, self.top, self.window, "distinct")


@dataclass(frozen=True)
class Entropy:
    """Shannon entropy in bits over a vocabulary: 0 is one entry only, log2(n) is n alike. Missing without rows."""

    of: Attribute
    window: Windows = "90d"
    action: Actions = None
    top: int = 200

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        return _vocabulary_columns(builder, self.of, self.action, self.top, self.window, "entropy")


@dataclass(frozen=True)
class Visits:
    """Visits: runs of activity with no gap of more than 30 minutes.

    Parameters
    ----------
    window : window or tuple of windows
        For "count": a visit is in the window in which it began.
    measure : {"count", "per_month", "last_visit"}
        Visits; visits per 30 days since the first; seconds of the newest visit.
    """

    window: Windows = "30d"
    measure: Literal["count", "per_month", "last_visit"] = "count"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column, or one for each window."""
        if self.measure == "per_month":
            return [Column("visits_per_month", "visits_per_month")]
        if self.measure == "last_visit":
            return [Column("last_visit_s", "last_visit")]
        return [
            Column(f"visit_count_{window_name(w)}", "visits", (), (window_us(w),))
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Completeness:
    """Share of the profile's fields that are filled as of the cutoff, from `profile_update` rows."""

    top: int = 30

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        fields = builder.vocabulary("field", "profile_update", self.top)
        keys = tuple(builder.key(Key("profile_update", "given", "field", f)) for f in fields)
        return [Column("profile_completeness", "completeness", keys)]


@dataclass(frozen=True)
class Peers:
    """What the member's colleagues did: the account's count less the member's own; missing without an account."""

    count: Count

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each of the count's, or none where nobody has an account."""
        if self.count.side != "given":
            raise InputError("Peers counts what colleagues did; use a Count with side='given'.")
        if not builder.has_accounts():
            return []
        return [Column(f"peers_{c.name}", "peers", c.keys, c.windows) for c in self.count.columns(builder)]


@dataclass(frozen=True)
class Tenure:
    """Days since the member joined; missing where that is unknown."""

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        return [Column("tenure_days", "tenure")]


def _finite(window: Duration, what: str) -> int:
    us = window_us(window)
    if us == ALL:
        raise InputError(f"{what} compares a window with what came before it; 'all' has nothing before it.")
    return us


def _ratio_part(count: Count) -> str:
    return count.stem() if count.by is None else f"{count.by}_{count.stem()}"


def _vocabulary_columns(
    builder: Builder, of: Attribute, action: Actions, top: int, window: Windows, operation: str
) -> list[Column]:
    entries = builder.vocabulary(of, action, top)
    name = of if action is None else f"{of}_{_stem(action, 'given')}"
    verb = _single(action, operation.capitalize())
    keys = tuple(builder.key(Key(verb, "given", of, entry)) for entry in entries)
    return [
        Column(f"{name}_{operation}_{window_name(w)}", operation, keys, (window_us(w),))
        for w in windows_of(window)
    ]
