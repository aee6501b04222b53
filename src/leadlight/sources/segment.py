"""A community from calls in Segment's format: identify, track, page, screen, group and alias, as JSON lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import pyarrow as pa

from leadlight.community import Community
from leadlight.community.matching import Match, email_domain, normal_email
from leadlight.community.reading import find_files
from leadlight.errors import InputError
from leadlight.moments import Duration, duration_us
from leadlight.sources.lines import Refused, read_lines
from leadlight.sources.segment_calls import Call, identifier, read_calls, time_us
from leadlight.sources.segment_people import People

Groups = Literal["account", "community"]

ACTIONS: Mapping[str, str] = {"Invite Sent": "invite"}
"""Names of track calls in the published specifications that are actions under another name here."""

BATCH_ROWS = 1 << 16
UTC_TIME = pa.timestamp("us", tz="UTC")
TEXTS = (
    "event_id",
    "group_id",
    "other_member_id",
    "other_role",
    "other_job_function",
    "other_domain",
    "source",
    "content_id",
    "field",
    "value",
)
SCHEMA = pa.schema(
    [
        ("member_id", pa.string()),
        ("occurred_at", UTC_TIME),
        ("action", pa.string()),
        ("known_at", UTC_TIME),
        ("tags", pa.list_(pa.string())),
        ("duration_s", pa.float64()),
        *((name, pa.string()) for name in TEXTS),
    ]
)
MEMBERS = pa.schema(
    [
        ("member_id", pa.string()),
        ("valid_from", UTC_TIME),
        ("joined_at", UTC_TIME),
        ("account_id", pa.string()),
        ("email", pa.string()),
        ("role", pa.string()),
        ("job_function", pa.string()),
        ("consent", pa.bool_()),
    ]
)


def read_segment(
    path: Any,
    *,
    deals: Any = None,
    members: Any = None,
    deal_contacts: Any = None,
    contacts: Any = None,
    actions: Mapping[str, str] | None = None,
    groups: Groups = "account",
    late: Duration = "5h",
    match: Match = "email",
    strict: bool = False,
    refused: str | os.PathLike[str] | None = None,
) -> Community:
    """Read a log of Segment calls, with the deals of another system.

    Parameters
    ----------
    path : path, glob or list of paths
        JSON lines, one call a line, plain or gzipped (``.gz``). Read twice: who is who, then what they did. Page and track
        calls are read in batches; identify, group and alias calls are kept in memory until the end.
    deals, members, deal_contacts, contacts : path, glob or frame, optional
        As in `Community`. Without `members` the calls tell who the members are.
    actions : mapping, optional
        Name of a track call to an action: ``{"Question Asked": "question"}``. Other names become snake case ("Trial
        Started" is ``trial_started``), except "Invite Sent", which is ``invite``.
    groups : {"account", "community"}, default="account"
        What a group call says: the account that the member belongs to, as in the B2B specification, or that the member
        joined a group of the community (action ``join_group``).
    late : duration, default="5h"
        A call that arrived (``receivedAt``) later than this after its time counts as known from its arrival
        (``known_at``); one that arrived sooner as known at once.
    match : {"email", "domain", "id"}
        As in `Community`.
    strict : bool, default=False
        Raise on the first line that cannot be used.
    refused : path-like, optional
        A file to save those lines in, with the reason. It holds what they held, addresses too.

    Returns
    -------
    Community
        ``page`` and ``screen`` calls are the action ``view``; a trait that an ``identify`` call gives, changes or empties
        is a ``profile_update`` with the trait as ``field`` (values are not kept). Of `properties`, those that
        have the name of a canonical column are that column (``tags``, ``group_id``, ``duration_s``...); without
        ``tags``, ``category`` is the tag; without ``content_id``, the path of a page; of ``invitee_email`` the domain is
        kept as ``other_domain``. Members are users; "Signed Up" says when they joined, group calls and "Account Added User" to which account they
        belong, from then on.

    Raises
    ------
    InputError
        If there is no file, one cannot be read, a parameter is unknown, or `strict` and a line cannot be used.

    Notes
    -----
    A visitor (``anonymousId``) becomes a member when a call names both the visitor and a user, or an alias call says so.
    What the visitor did before belongs to the member, but was **not known to** be the member's until then: it gets
    that moment as ``known_at``, so that no feature of an earlier cutoff sees it. On a device that several people use, a
    call without a user belongs to whom was seen there last. Visitors who never sign in are counted in ``community.rejects``
    and left out.

    Examples
    --------
    >>> import gzip, json, tempfile
    >>> from pathlib import Path
    >>> asked = {
    ...     "type": "track",
    ...     "event": "Question Asked",
    ...     "userId": "ann",
    ...     "timestamp": "2024-03-01T10:00:00Z",
    ... }
    >>> visitor = {"type": "page", "anonymousId": "x", "timestamp": "2024-03-01T11:00:00Z"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "events.jsonl.gz"
    ...     with gzip.open(path, "wt") as file:
    ...         print(json.dumps(asked), json.dumps(visitor), sep=chr(10), file=file)
    ...     community = read_segment(path, actions={"Question Asked": "question"})
    >>> community
    Community(1 events of 1 members, 2024-03-01 to 2024-03-01, 0 deals)
    >>> community.rejects["reason"].tolist()
    ['a visitor who was never identified']
    """
    if groups not in get_args(Groups):
        raise InputError(f"groups is {groups!r}. Pass one of {', '.join(map(repr, get_args(Groups)))}.")
    late_us = duration_us(late, name="late", zero=True)
    files = find_files(path)
    with Refused(refused, strict=strict) as lines:
        people = People((call for _, call in read_calls(read_lines(files), late_us, lines)), groups=groups)
    rows = _Rows(people, {**ACTIONS, **(actions or {})}, groups)
    stream = pa.RecordBatchReader.from_batches(SCHEMA, _batches(rows, files, late_us, lines))
    community = Community(
        activity=stream,
        members=_members(people) if members is None else members,
        deals=deals,
        deal_contacts=deal_contacts,
        contacts=contacts,
        match=match,
        strict=strict,
    )
    community.note_rejects("segment", lines.found)
    return community


def _members(people: People) -> pa.Table:
    rows = people.members()
    held = {column for row in rows for column, value in row.items() if value is not None}
    columns = [c for c in MEMBERS.names if c == "member_id" or c in held]
    arrays = [_column([row.get(c) for row in rows], MEMBERS.field(c).type) for c in columns]
    return pa.table(arrays, names=columns)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        values = [time_us(v) if isinstance(v, str) else v for v in values]
    elif pa.types.is_boolean(kind):
        values = [v if isinstance(v, bool) else None for v in values]
    else:
        values = [None if v is None else str(v) for v in values]
    return pa.array(values, kind)


class _Rows:
    """Calls -> rows of the log."""

    def __init__(self, people: People, actions: Mapping[str, str], groups: Groups) -> None:
        self._people = people
        self._actions = dict(actions)
        self._groups = groups

    def of(self, call: Call) -> dict[str, Any] | None:
        """Return the row of a call; None if it says something about a person and is no action."""
        if call.type in ("page", "screen"):
            return self._row(call, "view")
        if call.type == "track":
            action = self._actions.get(call.event)
            if action is None:
                action = self._actions[call.event] = snake_case(call.event)
            return self._row(call, action)
        if call.type == "group" and self._groups == "community" and call.group is not None:
            return self._row(call, "join_group") | {"group_id": call.group}
        return None

    def _row(self, call: Call, action: str) -> dict[str, Any]:
        told, known = call.properties, call.known_us
        person = self._people.links.resolve(call.user or call.anonymous or "", call.time_us)
        row: dict[str, Any] = {"member_id": person.member, "occurred_at": call.time_us, "action": action}
        for name in TEXTS:
            value = told.get(name)
            if value is not None and not isinstance(value, (dict, list)):
                row[name] = str(value)
        row["event_id"] = row.get("event_id") or _text(call.body.get("messageId"))
        tags = told.get("tags", told.get("category", call.body.get("category")))
        row["tags"] = _tags(tags)
        row["duration_s"] = _number(told.get("duration_s"))
        if "content_id" not in row and action == "view":
            row["content_id"] = _text(told.get("path")) or _text(call.body.get("name"))
        if "other_domain" not in row and (address := normal_email(_text(told.get("invitee_email")) or "")):
            row["other_domain"] = email_domain(address)
        if (other := row.get("other_member_id")) is not None:
            met = self._people.links.resolve(other, call.time_us)
            row["other_member_id"] = met.member
            known = max(known, met.known_us or known)
        said = time_us(told["known_at"]) if isinstance(told.get("known_at"), str) else None
        known = max(known, person.known_us or known, said or known)
        row["known_at"] = known if known > call.time_us else None
        return row

    def updates(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each trait that changed."""
        for member, time, known, trait, given in self._people.updates():
            yield {
                "member_id": member,
                "occurred_at": time,
                "action": "profile_update",
                "known_at": known if known > time else None,
                "field": trait,
                "value": "given" if given else None,
            }

    def is_member(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is of a user, not of a visitor who stayed one."""
        return row["member_id"] in self._people.identified


def _batches(rows: _Rows, files: list[str], late_us: int, refused: Refused) -> Iterator[pa.RecordBatch]:
    waiting: list[dict[str, Any]] = []
    for line, call in read_calls(read_lines(files), late_us):
        row = rows.of(call)
        if row is None:
            continue
        if not rows.is_member(row):
            refused.count(line, "a visitor who was never identified")
            continue
        waiting.append(row)
        if len(waiting) == BATCH_ROWS:
            yield _batch(waiting)
            waiting = []
    for row in rows.updates():
        waiting.append(row)
        if len(waiting) == BATCH_ROWS:
            yield _batch(waiting)
            waiting = []
    yield _batch(waiting)


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in SCHEMA]
    return pa.record_batch(arrays, schema=SCHEMA)


def snake_case(name: str) -> str:
    """Return "Account Added User" as "account_added_user"; other scripts keep their letters."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[^\w]+", "_", parted).strip("_").lower() or "unnamed"


def _text(value: Any) -> str | None:
    try:
        return identifier(value)
    except InputError:
        return None


def _tags(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return [value] if value else None
    if isinstance(value, list):
        return [tag for tag in value if isinstance(tag, str) and tag] or None
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
