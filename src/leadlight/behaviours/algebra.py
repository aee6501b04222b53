"""The algebra: frozen values that say what to measure. Column names are derived, never typed.

Every value knows how to write itself into a plan through a `Builder`; none holds a callable. `window` is "12h", "30d",
"4w", a timedelta, "all", or a tuple of these, which gives a column each. Windows are `[cutoff - window, cutoff)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from leadlight.behaviours.selection import (
    Actions,
    Attribute,
    Builder,
    Selection,
    Side,
    Windows,
    single,
    stem_of,
    windows_of,
)
from leadlight.errors import InputError
from leadlight.moments import ALL, Duration, window_name, window_us
from leadlight.plan import Column, Key


@dataclass(frozen=True)
class Count(Selection):
    """Number of rows in the window; see `Selection` for the parameters.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Count("question", window=("2d", "30d")),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_count_2d': 1.0, 'question_count_30d': 3.0}
    """

    def groups(self, builder: Builder) -> list[tuple[str, tuple[int, ...]]]:
        """Return (name without window, keys) for each column of one window."""
        if self.action == "join_group" and self.by == "group" and self.side == "given" and not self.total:
            entries = self.named(builder)
            return [(f"{name.removesuffix('_join_group')}_joined", keys) for name, keys in entries]
        return [(f"{name}_count", keys) for name, keys in self.named(builder)]

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        return [
            Column(f"{name}_{window_name(window)}", "count", keys, (window_us(window),))
            for name, keys in self.groups(builder)
            for window in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Sum:
    """Seconds spent: the sum of `duration_s` over the rows in the window.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [
    ...     {"member_id": "ann", "occurred_at": day, "action": "view", "duration_s": 40.0}
    ...     for day in ("2024-03-01", "2024-03-02")
    ... ]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Sum("view", window="7d"),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'view_duration_s_7d': 80.0}
    """

    action: Actions = None
    window: Windows = "all"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        key = builder.key(Key(single(self.action, "Sum")))
        return [
            Column(
                f"{stem_of(self.action)}_duration_s_{window_name(w)}",
                "sum_duration",
                (key,),
                (window_us(w),),
            )
            for w in windows_of(self.window)
        ]


@dataclass(frozen=True)
class Recency:
    """Days since the newest row; missing where there is none. See `Selection` for the parameters.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05T12:00")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Recency("question"),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_recency_days': 0.5}
    """

    action: Actions = None
    side: Side = "given"
    by: Attribute | None = None
    top: int = 20
    only: tuple[str, ...] = ()
    same_domain: bool = False

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column, or one for each entry."""
        rows = Selection(
            single(self.action, "Recency"),
            side=self.side,
            by=self.by,
            top=self.top,
            only=self.only,
            same_domain=self.same_domain,
        )
        return [Column(f"{name}_recency_days", "recency", keys) for name, keys in rows.named(builder)]


@dataclass(frozen=True)
class FirstTime(Selection):
    """1 where the member's first row ever lies in the window; see `Selection` for the parameters.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.FirstTime("question", window=("2d", "7d")),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_first_time_2d': 0.0, 'question_first_time_7d': 1.0}
    """

    window: Windows = "30d"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        return _windowed(self, builder, "first_time", window_us)


@dataclass(frozen=True)
class Trend(Selection):
    """(count + 1) in the window over (count + 1) in the window of equal length before it.

    See `Selection` for the parameters.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Trend("question", window="2d"),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_trend_2d': 1.0}
    """

    window: Windows = "30d"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        return _windowed(self, builder, "trend", _finite("Trend"))


@dataclass(frozen=True)
class Surprise(Selection):
    """(count - expected) / sqrt(expected + 1), expected from the member's own rate before the window.

    Missing while the member's history is shorter than the window. See `Selection` for the parameters.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Surprise("question", window="2d"),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].astype(float).round(2).to_dict()
    {'question_surprise_2d': -0.58}
    """

    window: Windows = "30d"

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        return _windowed(self, builder, "surprise", _finite("Surprise"))


@dataclass(frozen=True)
class Ratio:
    """One count over another, each over its own window; missing where the denominator is zero.

    Examples
    --------
    >>> import leadlight as ll
    >>> days = ("2024-03-01", "2024-03-02", "2024-03-05")
    >>> log = [{"member_id": "ann", "occurred_at": day, "action": "question"} for day in days]
    >>> log.append({"member_id": "ann", "occurred_at": "2024-03-03", "action": "view"})
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> share = ll.Ratio(ll.Count("question", window="30d"), ll.Count(window="30d"))
    >>> measured = ll.Behaviour("measured", (share,), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'question_per_activity_30d': 0.75}
    """

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
class Share(Selection):
    """Part of a whole in the window, 0 to 1; missing where there is no whole. See `Selection` for the parameters.

    Of an action: its rows among all activity of that side. Of a role, a function, a group or `same_domain`: the rows that
    hold it among all rows of the action. Of a tag: its uses among the uses of all tags of the vocabulary and of `only`,
    because a row may carry several.

    Parameters
    ----------
    among : int
        For tags: how many of the vocabulary make the whole.
    """

    window: Windows = "90d"
    among: int = 200

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each entry and window."""
        whole = self._whole(builder)
        return [
            Column(
                f"{name}_share_{window_name(w)}",
                "ratio",
                keys + whole,
                (window_us(w), window_us(w)),
                len(keys),
            )
            for name, keys in self.named(builder)
            for w in windows_of(self.window)
        ]

    def _whole(self, builder: Builder) -> tuple[int, ...]:
        if self.by == "tag":
            known = builder.vocabulary("tag", self.action, self.among)
            entries = dict.fromkeys([*known, *self.entries(builder)])
            return tuple(k for entry in entries for k in self.keys(builder, entry))
        everything = Selection(
            None if self.by is None and not self.same_domain else self.action, side=self.side
        )
        return everything.keys(builder)


@dataclass(frozen=True)
class Distinct:
    """How many entries of a vocabulary occur in the window.

    Parameters
    ----------
    of : {"tag", "group", "role", "job_function"}
    window : window or tuple of windows
    action : str, optional
    top : int
    only : tuple of str
        Entries that you name yourself.
    total : str, optional
        What the column calls the entries of `only`, in place of the attribute.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [
    ...     {"member_id": "ann", "occurred_at": "2024-03-01", "action": "view", "tags": ["pricing", tag]}
    ...     for tag in ("api", "security")
    ... ]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour(
    ...     "measured", (ll.Distinct("tag", only=("pricing", "api", "security")),), reason=""
    ... )
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'tag_distinct_90d': 3.0}
    """

    of: Attribute
    window: Windows = "90d"
    action: Actions = None
    top: int = 200
    only: tuple[str, ...] = ()
    total: str | None = None

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        return _vocabulary_columns(self, builder, "distinct")


@dataclass(frozen=True)
class Entropy:
    """Shannon entropy in bits over a vocabulary: 0 is one entry only, log2(n) is n alike. Missing without rows.

    It measures concentration from its other end: low is concentrated. The parameters are those of `Distinct`.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [
    ...     {"member_id": "ann", "occurred_at": "2024-03-01", "action": "view", "tags": [tag]}
    ...     for tag in ("pricing", "api", "api", "pricing")
    ... ]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Entropy("tag", only=("pricing", "api")),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'tag_entropy_90d': 1.0}
    """

    of: Attribute
    window: Windows = "90d"
    action: Actions = None
    top: int = 200
    only: tuple[str, ...] = ()
    total: str | None = None

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column for each window."""
        return _vocabulary_columns(self, builder, "entropy")


@dataclass(frozen=True)
class Visits:
    """Visits: runs of activity with no gap of more than 30 minutes.

    Parameters
    ----------
    window : window or tuple of windows
        For "count": a visit is in the window in which it began.
    measure : {"count", "per_month", "last_visit"}
        Visits; visits per 30 days since the first; seconds of the newest visit.

    Examples
    --------
    >>> import leadlight as ll
    >>> times = ("2024-03-01T10:00", "2024-03-01T10:20", "2024-03-01T11:00")
    >>> log = [{"member_id": "ann", "occurred_at": time, "action": "view"} for time in times]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Visits(window="7d"),), reason="")
    >>> X = ll.build_features(ll.Community(log), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'visit_count_7d': 2.0}
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
    """Share of the profile's fields that are filled as of the cutoff, from `profile_update` rows.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [
    ...     {
    ...         "member_id": member,
    ...         "occurred_at": "2024-03-01",
    ...         "action": "profile_update",
    ...         "field": field,
    ...         "value": "set",
    ...     }
    ...     for member, field in (("ann", "company"), ("ann", "phone"), ("bob", "company"))
    ... ]
    >>> rows = ll.Observations.from_frame(
    ...     [{"member_id": name, "cutoff": "2024-03-06"} for name in ("ann", "bob")]
    ... )
    >>> measured = ll.Behaviour("measured", (ll.Completeness(),), reason="")
    >>> plan = ll.Catalogue([measured]).compile(ll.Community(log), min_members=1)
    >>> ll.build_features(ll.Community(log), rows, plan)["profile_completeness"].tolist()
    [1.0, 0.5]
    """

    top: int = 30

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        fields = builder.vocabulary("field", "profile_update", self.top)
        keys = tuple(builder.key(Key("profile_update", "given", "field", f)) for f in fields)
        return [Column("profile_completeness", "completeness", keys)]


@dataclass(frozen=True)
class Peers:
    """What the member's colleagues did: the account's count less the member's own; missing without an account.

    Examples
    --------
    >>> import leadlight as ll
    >>> who = ("ann", "bob", "bob")
    >>> log = [{"member_id": name, "occurred_at": "2024-03-01", "action": "view"} for name in who]
    >>> members = [{"member_id": name, "account_id": "acme"} for name in ("ann", "bob")]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Peers(ll.Count("view", window="7d")),), reason="")
    >>> X = ll.build_features(ll.Community(log, members=members), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'peers_view_count_7d': 2.0}
    """

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
    """Days since the member joined; missing where that is unknown.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [{"member_id": "ann", "occurred_at": "2024-03-01", "action": "view"}]
    >>> members = [{"member_id": "ann", "joined_at": "2024-02-05T00:00"}]
    >>> rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-06"}])
    >>> measured = ll.Behaviour("measured", (ll.Tenure(),), reason="")
    >>> X = ll.build_features(ll.Community(log, members=members), rows, ll.Catalogue([measured]))
    >>> X.iloc[0].to_dict()
    {'tenure_days': 30.0}
    """

    def columns(self, builder: Builder) -> list[Column]:
        """Write one column."""
        return [Column("tenure_days", "tenure")]


def _windowed(
    rows: Selection, builder: Builder, operation: str, length: Callable[[Duration], int]
) -> list[Column]:
    return [
        Column(f"{name}_{operation}_{window_name(w)}", operation, keys, (length(w),))
        for name, keys in rows.named(builder)
        for w in windows_of(rows.window)
    ]


def _finite(what: str) -> Callable[[Duration], int]:
    def length(window: Duration) -> int:
        us = window_us(window)
        if us == ALL:
            raise InputError(
                f"{what} compares a window with what came before it; 'all' has nothing before it."
            )
        return us

    return length


def _ratio_part(count: Count) -> str:
    if count.by is None:
        return count.stem()
    return f"{count.total or count.by}_{count.stem()}"


def _vocabulary_columns(feature: Distinct | Entropy, builder: Builder, operation: str) -> list[Column]:
    verb = single(feature.action, type(feature).__name__)
    rows = Selection(verb, by=feature.of, top=feature.top, only=feature.only, total=feature.total)
    keys = tuple(k for _, found in replace(rows, total=None).named(builder) for k in found)
    name = feature.total or feature.of
    if feature.action is not None:
        name += f"_{stem_of(feature.action)}"
    return [
        Column(f"{name}_{operation}_{window_name(w)}", operation, keys, (window_us(w),))
        for w in windows_of(feature.window)
    ]
