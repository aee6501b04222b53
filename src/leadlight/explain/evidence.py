"""Evidence: the rows of the log behind each reason, as they were known at the cutoff."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.errors import InputError, closest
from leadlight.explain.behind import Behind, Rows
from leadlight.kernels.log import EncodedLog
from leadlight.moments import Moment, moment_us
from leadlight.plan import Plan
from leadlight.runtime.sentences import duration

Codes = NDArray[np.int64]

COLUMNS: Final = [
    "member_id",
    "behaviour",
    "occurred_at",
    "action",
    "tags",
    "group_id",
    "side",
    "other_member_id",
    "other_role",
    "duration_s",
    "times",
    "text",
    "rows",
    "left_out",
]


class Scored(Protocol):
    """What evidence asks of a `leadlight.qualifier.Scores`."""

    frame: pd.DataFrame


class _Ask(NamedTuple):
    member: int
    behaviour: str
    columns: tuple[str, ...]


def evidence(community: Community, plan: Plan, scores: Scored, *, most: int = 20) -> pd.DataFrame:
    """Return the activity behind each reason of each member.

    Behind a reason stand the rows that its sentence counts: of the columns that it speaks of, or of all columns of the
    behaviour where it only names it. A count shows its rows, a recency the newest one, a number of visits the rows that
    began them, a share its numerator, a trend both windows, a profile the row that filled each field. Tenure has none.

    Parameters
    ----------
    community : Community
    plan : Plan
        Of the qualifier that gave the reasons.
    scores : Scores
        Such as `qualifier.score(...).top(40)`; member_id, at and reasons are read.
    most : int
        Rows shown of a reason: the newer half of them is the newest, the others are spread evenly over the older rows.
        The choice depends on nothing else.

    Returns
    -------
    DataFrame
        One row for each row of the log shown, members and reasons in the order of the scores, newest first.

        member_id, behaviour
            Whose reason it is.
        occurred_at
            UTC. A row that was not visible strictly before the cutoff is never shown.
        action, tags (tuple of str), group_id, duration_s
            As they stand in the log; None, () and NaN where there is nothing.
        side
            "given": the member did it. "received": another did it towards the member. "colleague": somebody of the same account.
        other_member_id, other_role
            The other party (of "received" and "colleague" the one who acted); the role is the one that the row names, else
            that known at the cutoff. Who works for the host and who has not consented is not named: None.
        times
            How often it counts: 2 where two of its tags are counted together.
        text
            All this in a few words. Text of the log stands in it as it is: escape it before it enters HTML.
        rows, left_out
            Rows behind the reason, and how many of them are not shown.

    Raises
    ------
    InputError
        If `most` is below 1, a reason is not of this plan, or a member is unknown or must not be shown.
    """
    frame = scores.frame
    if isinstance(most, bool) or most < 1:
        raise InputError(f"most is {most!r}; show at least one row of each reason.")
    codes = community.codes(frame["member_id"]) if len(frame) else np.empty(0, np.int64)
    _check_shown(community, codes)
    at = frame["at"].to_numpy("datetime64[us]").astype(np.int64) if len(frame) else codes
    parts = []
    for cutoff in dict.fromkeys(at.tolist()):
        asked = [
            _Ask(int(code), reason.behaviour, reason.columns)
            for code, when, reasons in zip(codes, at, frame["reasons"], strict=True)
            if when == cutoff
            for reason in reasons
        ]
        parts.append(_gather(community, plan, int(cutoff), asked, most))
    return pd.concat(parts, ignore_index=True) if parts else _table(community, None, [], 0)


def evidence_of(community: Community, plan: Plan, member_id: Any, column: str, at: Moment) -> pd.DataFrame:
    """Return all rows behind one column of one member; see `evidence` for the parameters and the result.

    Of a count, `times` adds up to the feature's value.

    Raises
    ------
    InputError
        If the plan has no such column, or the member is unknown or must not be shown.
    """
    if column not in plan.behaviour_of:
        raise InputError(f"The plan has no column {column!r}{closest(column, plan.column_names)}.")
    codes = community.codes([member_id])
    _check_shown(community, codes)
    ask = _Ask(int(codes[0]), plan.behaviour_of[column], (column,))
    return _gather(community, plan, moment_us(at, name="at"), [ask], most=np.iinfo(np.int64).max)


class _Shown(NamedTuple):
    """What is shown of one reason."""

    ask: _Ask
    side: list[str]
    row: list[int]
    times: list[int]
    rows: int


def _gather(community: Community, plan: Plan, at_us: int, asked: Sequence[_Ask], most: int) -> pd.DataFrame:
    members = np.unique(np.array([ask.member for ask in asked], np.int64))
    behind = Behind(community, plan, members, at_us)
    columns = {column.name: column for column in plan.columns}
    of_behaviour = {b.name: b.columns for b in plan.behaviours}
    shown = []
    for ask in asked:
        if ask.behaviour not in of_behaviour or not set(ask.columns) <= set(columns):
            raise InputError(
                f"The reason {ask.behaviour!r} is not of this plan; give the plan of the qualifier that scored."
            )
        names = ask.columns or of_behaviour[ask.behaviour]
        shown.append(_choose(ask, (behind.rows(ask.member, columns[n]) for n in names), behind.log, most))
    return _table(community, behind.log, shown, at_us)


def _choose(ask: _Ask, found: Iterable[Rows], log: EncodedLog, most: int) -> _Shown:
    """Unite the rows of a reason's columns, and sample them."""
    united: dict[tuple[str, int], int] = {}
    for part in found:
        for row, times in zip(part.row.tolist(), part.times.tolist(), strict=True):
            united[part.side, row] = max(times, united.get((part.side, row), 0))
    # Newest first; rows of one time by side, then as they lie in the log.
    pairs = sorted(united, key=lambda pair: (-int(log.time[pair[1]]), pair))
    kept = [pairs[i] for i in sampled(len(pairs), most)]
    return _Shown(ask, [s for s, _ in kept], [r for _, r in kept], [united[p] for p in kept], len(pairs))


def sampled(count: int, most: int) -> list[int]:
    """Return which of `count` rows, newest first, are shown: the newest, then some spread evenly over the others."""
    if count <= most:
        return list(range(count))
    newest = (most + 1) // 2
    older = np.linspace(newest, count - 1, most - newest)
    return [*range(newest), *np.floor(older).astype(int).tolist()]


def _check_shown(community: Community, codes: Codes) -> None:
    members = community.members
    hidden = (members.employee | members.refused)[codes]
    if hidden.any():
        raise InputError(
            f"{int(hidden.sum())} of the members work for the host or have not consented; they are never scored nor shown."
        )


def _table(community: Community, log: EncodedLog | None, shown: Sequence[_Shown], at_us: int) -> pd.DataFrame:
    members = community.members
    total = sum(len(one.row) for one in shown)
    if log is None or not total:
        empty = {name: pd.Series([], dtype=object) for name in COLUMNS}
        empty["occurred_at"] = pd.Series([], dtype="datetime64[us, UTC]")
        return pd.DataFrame(empty | {n: pd.Series([], dtype=np.int64) for n in ("times", "rows", "left_out")})
    row = np.concatenate([np.array(one.row, np.int64) for one in shown])
    side = [s for one in shown for s in one.side]
    owner = np.concatenate([np.full(len(one.row), one.ask.member) for one in shown])
    given = np.array([s == "given" for s in side])
    none = np.full(total, -1, np.int64)
    target = none if log.other is None else log.other[row]
    party = np.where(given, target, log.actor[row]).astype(np.int64)
    role = members.role_at(np.maximum(party, 0), np.full(total, at_us))
    role[party < 0] = None
    told = _entries(log, "role", log.role, row)
    # The log knows the role of the one towards whom something was done.
    roles = [t if t is not None and g else r for t, g, r in zip(told, given, role, strict=True)]
    hidden = np.append(members.employee | members.employee_at(at_us) | members.refused, True)[party]
    ids = members.ids.take(np.maximum(party, 0)).tolist()
    seconds = np.full(total, np.nan) if log.duration_ms is None else log.duration_ms[row] / 1000.0
    seconds = np.where(seconds > 0, seconds, np.nan)
    columns: dict[str, Any] = {
        "member_id": pd.Series(members.ids.take(owner)).reset_index(drop=True),
        "behaviour": [one.ask.behaviour for one in shown for _ in one.row],
        "occurred_at": pd.to_datetime(log.time[row], unit="us", utc=True).as_unit("us"),
        "action": _entries(log, "action", log.action, row),
        "tags": _tags(log, row),
        "group_id": pd.Series(_entries(log, "group", log.group, row), dtype=object),
        "side": side,
        "other_member_id": pd.Series(
            [None if h else i for h, i in zip(hidden, ids, strict=True)], dtype=object
        ),
        "other_role": pd.Series(roles, dtype=object),
        "duration_s": seconds,
        "times": [t for one in shown for t in one.times],
    }
    columns["text"] = [
        said(*parts)
        for parts in zip(
            columns["action"],
            columns["tags"],
            columns["group_id"],
            side,
            roles,
            seconds.tolist(),
            strict=True,
        )
    ]
    columns["rows"] = [one.rows for one in shown for _ in one.row]
    columns["left_out"] = [one.rows - len(one.row) for one in shown for _ in one.row]
    return pd.DataFrame(columns)[COLUMNS]


def _entries(log: EncodedLog, name: str, codes: NDArray[Any] | None, row: Codes) -> list[str | None]:
    if codes is None:
        return [None] * len(row)
    entries = log.dictionaries.get(name, ())
    return [entries[code] if code >= 0 else None for code in codes[row].tolist()]


def _tags(log: EncodedLog, row: Codes) -> list[tuple[str, ...]]:
    if log.tag_offsets is None or log.tag_codes is None:
        return [()] * len(row)
    entries, offsets, codes = log.dictionaries.get("tag", ()), log.tag_offsets, log.tag_codes
    return [
        tuple(entries[code] for code in codes[offsets[i] : offsets[i + 1]].tolist()) for i in row.tolist()
    ]


def said(
    action: str, tags: tuple[str, ...], group: str | None, side: str, role: str | None, seconds: float
) -> str:
    """Say a row in a few words: "answer received, by the role employee: visa, in the group beta"."""
    parts = action.replace("_", " ")
    parts += {"given": "", "received": " received", "colleague": " by a colleague"}[side]
    if role is not None and side != "colleague":
        parts += f", {'with' if side == 'given' else 'by'} the role {role}"
    if tags:
        parts += f": {', '.join(tags)}"
    if group is not None:
        parts += f", in the group {group}"
    return parts if np.isnan(seconds) else f"{parts}, for {duration(seconds)}"
