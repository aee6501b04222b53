"""A Stack Exchange site as a community, with accepted answers or bounties in place of deals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.sources.stackexchange_dump import TABLES, open_dump, read_dump
from leadlight.sources.stackexchange_rows import (
    ACTIVITY,
    BOT,
    UTC_TIME,
    accepts,
    badge_rows,
    bounties,
    comment_rows,
    dated_votes,
    is_person,
    post_rows,
    threads,
    unique,
    vote_rows,
)

Deal = Literal["accepted_answer", "bounty"]
DEALS = pa.schema(
    [
        ("deal_id", pa.int64()),
        ("member_id", pa.int64()),
        ("outcome", pa.string()),
        ("closed_at", UTC_TIME),
        ("known_at", UTC_TIME),
    ]
)
ROWS_AT_ONCE = 1 << 18
"""Comments, votes and badges that are joined with the posts at once."""


def read_stackexchange(
    path: str | os.PathLike[str], *, deal: Deal = "accepted_answer", strict: bool = False
) -> Community:
    """Read one Stack Exchange site, with a proxy for closed deals.

    Parameters
    ----------
    path : str or path-like
        A folder with the official XML dump (``Users.xml``, ``Posts.xml``, ``Comments.xml``, ``Votes.xml``,
        ``Badges.xml``) or with the same tables in Parquet. Users and posts are needed; each of the others may
        be absent, and then its actions do not occur.
    deal : {"accepted_answer", "bounty"}, default="accepted_answer"
        What stands for a won deal: the asker accepts somebody else's answer, or a member offers a bounty.
        Every one is a row of ``deals``.
    strict : bool, default=False
        Raise on the first row that `Community` would otherwise reject and count.

    Returns
    -------
    Community
        Members are users (``joined_at`` is the day and time of registration). Actions that a member does:
        ``question``, ``answer``, ``comment``, ``favourite``, ``bounty``, ``accept``, ``self_accept``,
        ``profile_update``, ``first_upvote``, ``first_downvote``, ``first_edit``, ``tour``,
        ``visit_streak_30``, ``visit_streak_100``, ``forward``. Actions that happen to a member, done by
        member -1 (role ``employee``, never scored): ``upvote_question``, ``upvote_answer``,
        ``downvote_question``, ``downvote_answer``, ``first_answer`` (the first by somebody else),
        ``question_scored``, ``noticed``, ``anniversary``. Answers, comments and votes take tags and
        ``content_id`` from their question. Nobody is his own counterpart: a comment below one's own post has
        no ``other_member_id``.

    Raises
    ------
    InputError
        If `deal` is unknown, `path` is no folder, a file is damaged, XML declares a document type
        (the only place for entities), a value is unreadable, or a post or user occurs twice.
    SchemaError
        If users or posts are absent, or a table lacks or repeats a column.
    ColumnTypeError
        If a Parquet column has a type that cannot be read.

    Notes
    -----
    Comments, votes and badges are read part by part and never held; users and posts, without their texts, are. So memory
    grows with posts and members, and a dump of several gigabytes takes a fraction of its size.

    A proxy is no deal: accepting an answer costs nothing, so results on it show that the machinery works, not
    what a sales team would gain. What the dump cannot tell:

    * It holds the accept votes that stood on the day of the dump. A withdrawn or moved accept is not there,
      although it was once a fact; votes on posts that were deleted since are there without their post and
      count for nobody, apart from favourites and bounties, which name their member.
    * Votes, and so deals, carry a day and no time. Each counts as known at the last microsecond of its day,
      UTC.
    * Texts, tags and owners are those of the day of the dump: a question may have been retagged, and what
      deleted users did is missing.
    * There are no page views. Columns that end in ``__snapshot`` are never read.

    Examples
    --------
    >>> community = read_stackexchange("data/beer", deal="bounty")
    >>> len(community.deals)
    11
    """
    _check_deal(deal)
    parts = open_dump(path)
    members = _members(_table(parts, "users"))
    posts = threads(_table(parts, "posts"))
    # The log is read to its end before the deals are asked for, so that votes are read once and never held.
    deals: list[pa.Table] = []
    return Community(
        pa.RecordBatchReader.from_batches(ACTIVITY, _log(parts, posts, deal, deals)),
        members,
        pa.RecordBatchReader.from_batches(
            DEALS, (b for table in deals for b in table.cast(DEALS).to_batches())
        ),
        match="id",
        strict=strict,
    )


def _log(
    parts: Mapping[str, Callable[[], Iterator[pa.RecordBatch]]],
    posts: pa.Table,
    deal: Deal,
    deals: list[pa.Table],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the log part by part; deals are added on the way."""
    for table in post_rows(posts):
        yield from table.to_batches()
    for comments in _parts(parts, "comments"):
        yield from comment_rows(comments, posts).to_batches()
    for raw in _parts(parts, "votes"):
        votes = dated_votes(raw, posts)
        deals.append(_deals_of(votes, deal))
        for table in vote_rows(votes):
            yield from table.to_batches()
    for badges in _parts(parts, "badges"):
        for table in badge_rows(badges):
            yield from table.to_batches()


def _parts(parts: Mapping[str, Callable[[], Iterator[pa.RecordBatch]]], name: str) -> Iterator[pa.Table]:
    """Yield some rows of a table at a time: enough of them that joining them with the posts is worth its beginning."""
    waiting: list[pa.RecordBatch] = []
    for batch in parts[name]():
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _table(parts: Mapping[str, Callable[[], Iterator[pa.RecordBatch]]], name: str) -> pa.Table:
    schema = pa.schema([(column.name, column.type) for column in TABLES[name]])
    return pa.Table.from_batches(parts[name](), schema).combine_chunks()


def _check_deal(deal: str) -> None:
    if deal not in get_args(Deal):
        raise InputError(f"deal is {deal!r}. Pass one of {', '.join(map(repr, get_args(Deal)))}.")


def _deals_of(votes: pa.Table, deal: Deal) -> pa.Table:
    return (
        _deals(accepts(votes), "asker") if deal == "accepted_answer" else _deals(bounties(votes), "user_id")
    )


def stackexchange_tables(path: str | os.PathLike[str], deal: Deal = "accepted_answer") -> dict[str, pa.Table]:
    """Build the canonical tables of a site, as `read_stackexchange` does before it checks them.

    Parameters
    ----------
    path : str or path-like
        Folder of the dump, in XML or Parquet.
    deal : {"accepted_answer", "bounty"}, default="accepted_answer"
        What stands for a won deal.

    Returns
    -------
    dict of str to pyarrow.Table
        ``activity``, ``members`` and ``deals``; times are UTC microseconds. Rows are grouped by action, not
        by time. There is no ``event_id``: a dump repeats no row, and an invented key would only cost memory.

    Raises
    ------
    InputError, SchemaError, ColumnTypeError
        As `read_stackexchange`.
    """
    _check_deal(deal)
    dump = read_dump(path)
    posts = threads(dump["posts"])
    votes = dated_votes(dump["votes"], posts)
    activity = [
        *post_rows(posts),
        comment_rows(dump["comments"], posts),
        *vote_rows(votes),
        *badge_rows(dump["badges"]),
    ]
    deals = _deals_of(votes, deal)
    return {"activity": pa.concat_tables(activity), "members": _members(dump["users"]), "deals": deals}


def _members(users: pa.Table) -> pa.Table:
    users = unique(users, "user_id")
    if not pc.any(pc.equal(users["user_id"], BOT)).as_py():
        bot = pa.table({"user_id": [BOT], "created_at": [None]}, schema=users.schema)
        users = pa.concat_tables([users, bot])
    role = pc.if_else(pc.equal(users["user_id"], BOT), "employee", "prospect")
    joined_at = users["created_at"].cast(UTC_TIME)
    return pa.table({"member_id": users["user_id"], "joined_at": joined_at, "role": role})


def _deals(votes: pa.Table, member: str) -> pa.Table:
    votes = votes.filter(is_person(votes[member]))
    return pa.table(
        {
            "deal_id": votes["vote_id"],
            "member_id": votes[member],
            "outcome": pa.repeat(pa.scalar("won"), len(votes)),
            "closed_at": votes["date"].cast(UTC_TIME),
            "known_at": pa.nulls(len(votes), UTC_TIME),
        }
    )
