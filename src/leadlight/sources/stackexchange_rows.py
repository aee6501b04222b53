"""The rows of the log that a Stack Exchange dump yields: who did what, when, to whom."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from leadlight.errors import InputError
from leadlight.sources.stackexchange_dump import TAGS

# The site's own account, which also stands for everybody whom the dump does not name.
BOT = -1

QUESTION, ANSWER = 1, 2
ACCEPT, UP, DOWN, FAVOURITE, BOUNTY = 1, 2, 3, 5, 8
VOTE_TYPES = (ACCEPT, UP, DOWN, FAVOURITE, BOUNTY)

# Badges are dated to the millisecond and mark first times and thresholds that the dump shows nowhere else.
GIVEN_BADGES = {
    "Autobiographer": "profile_update",
    "Supporter": "first_upvote",
    "Critic": "first_downvote",
    "Editor": "first_edit",
    "Informed": "tour",
    "Enthusiast": "visit_streak_30",
    "Fanatic": "visit_streak_100",
    "Announcer": "forward",
    "Booster": "forward",
    "Publicist": "forward",
}
RECEIVED_BADGES = {
    "Student": "question_scored",
    "Popular Question": "noticed",
    "Notable Question": "noticed",
    "Famous Question": "noticed",
    "Yearling": "anniversary",
}
# Left out on purpose: Scholar (first accept), Promoter, Investor, Benefactor and Altruist (bounties) are the
# deal under another name and would leak it into the features.

UTC_TIME = pa.timestamp("us", "UTC")
ACTIVITY = pa.schema(
    [
        ("member_id", pa.int64()),
        ("occurred_at", UTC_TIME),
        ("action", pa.string()),
        ("tags", TAGS),
        ("other_member_id", pa.int64()),
        ("content_id", pa.int64()),
        ("field", pa.string()),
        ("value", pa.string()),
    ]
)
_LAST_OF_DAY = pa.scalar(86_400_000_000 - 1, pa.duration("us"))


def threads(posts: pa.Table) -> pa.Table:
    """Give each post its question: `question_id`, `asker` and the question's `tags`."""
    posts = unique(posts, "post_id")
    question_id = pc.if_else(pc.equal(posts["post_type_id"], ANSWER), posts["parent_id"], posts["post_id"])
    question = _find(question_id, posts["post_id"])
    # XML cannot tell an empty list of tags from none, so Parquet must not either.
    is_tagged = pc.greater(pc.list_value_length(posts["tags"]), 0)
    tags = pc.if_else(is_tagged, posts["tags"], pa.scalar(None, TAGS))
    return pa.table(
        {
            "post_id": posts["post_id"],
            "kind": posts["post_type_id"],
            "created_at": posts["created_at"],
            "owner_user_id": posts["owner_user_id"],
            "question_id": question_id,
            "asker": posts["owner_user_id"].take(question),
            "tags": tags.take(question),
        }
    )


def _on_posts(table: pa.Table, posts: pa.Table) -> pa.Table:
    """Join what was done to a post with the post; null where it is gone, but for the id."""
    found = posts.drop_columns(["post_id", "created_at"]).take(_find(table["post_id"], posts["post_id"]))
    for name in found.column_names:
        table = table.append_column(name, found[name])
    return _replace(table, "question_id", pc.coalesce(table["question_id"], table["post_id"]))


def post_rows(posts: pa.Table) -> list[pa.Table]:
    """Questions, answers, and the first answer that each asker received from somebody else."""
    questions = posts.filter(pc.equal(posts["kind"], QUESTION))
    answers = posts.filter(pc.equal(posts["kind"], ANSWER))
    # An answer without an owner is by a user who is gone, hence not by the asker, who is still there.
    by_another = answers.filter(pc.fill_null(pc.not_equal(answers["owner_user_id"], answers["asker"]), True))
    # The earliest time of each question is a fact about the question, so it does not matter which answer
    # brings it.
    first = by_another.group_by("question_id").aggregate([("created_at", "min")])
    first = first.append_column("post_id", first["question_id"])
    first = _on_posts(first.drop_columns(["question_id"]), posts)
    return [
        _given("question", questions, "owner_user_id", "created_at", other=None),
        _given("answer", answers, "owner_user_id", "created_at", other="asker"),
        _received("first_answer", first, "created_at_min", other="asker"),
    ]


def comment_rows(comments: pa.Table, posts: pa.Table) -> pa.Table:
    """Comments, addressed to the owner of the post below which they stand."""
    return _given("comment", _on_posts(comments, posts), "user_id", "created_at")


def dated_votes(votes: pa.Table, posts: pa.Table) -> pa.Table:
    """Votes of the types in use, with their posts, at the last microsecond of their day."""
    used = pc.is_in(votes["vote_type_id"], value_set=pa.array(VOTE_TYPES, pa.int64()))
    votes = _on_posts(votes.filter(used), posts)
    return _replace(votes, "date", pc.add(pc.floor_temporal(votes["date"], unit="day"), _LAST_OF_DAY))


def accepts(votes: pa.Table, *, own: bool = False) -> pa.Table:
    """Accept votes, which are the asker's, for the answers of others or for the asker's own."""
    votes = _of(votes, ACCEPT, ANSWER)
    is_own = pc.fill_null(pc.equal(votes["asker"], votes["owner_user_id"]), False)
    return votes.filter(is_own if own else pc.invert(is_own))


def bounties(votes: pa.Table) -> pa.Table:
    """Votes that open a bounty; they name the member who pays."""
    return votes.filter(pc.equal(votes["vote_type_id"], BOUNTY))


def vote_rows(votes: pa.Table) -> list[pa.Table]:
    """What members did by voting, and the anonymous votes that they received."""
    favourites = votes.filter(pc.equal(votes["vote_type_id"], FAVOURITE))
    return [
        _given("favourite", favourites, "user_id", "date"),
        _given("bounty", bounties(votes), "user_id", "date"),
        _given("accept", accepts(votes), "asker", "date"),
        _given("self_accept", accepts(votes, own=True), "asker", "date"),
        _received("upvote_question", _of(votes, UP, QUESTION), "date"),
        _received("upvote_answer", _of(votes, UP, ANSWER), "date"),
        _received("downvote_question", _of(votes, DOWN, QUESTION), "date"),
        _received("downvote_answer", _of(votes, DOWN, ANSWER), "date"),
    ]


def badge_rows(badges: pa.Table) -> list[pa.Table]:
    """First times and thresholds, at the moment of the badge."""
    # Badges for tags bear the tag's name, which anybody may choose.
    badges = badges.filter(pc.invert(pc.fill_null(badges["tag_based"], False)))
    rows = []
    for name, action in GIVEN_BADGES.items():
        filled = {"field": "about", "value": "filled"} if action == "profile_update" else {}
        awarded = badges.filter(pc.equal(badges["name"], name))
        rows.append(_given(action, awarded, "user_id", "awarded_at", other=None, **filled))
    for name, action in RECEIVED_BADGES.items():
        awarded = badges.filter(pc.equal(badges["name"], name))
        rows.append(_received(action, awarded, "awarded_at", other="user_id"))
    return rows


def _given(
    action: str,
    table: pa.Table,
    member: str,
    time: str,
    *,
    other: str | None = "owner_user_id",
    **constants: str,
) -> pa.Table:
    """Rows that a named member does; those of nobody and of the bot are dropped."""
    table = table.filter(is_person(table[member]))
    columns = {"member_id": table[member], "occurred_at": table[time], "action": action, **constants}
    if other is not None:
        is_self = pc.fill_null(pc.equal(table[other], table[member]), False)
        columns["other_member_id"] = pc.if_else(is_self, pa.scalar(None, pa.int64()), table[other])
    return _rows(table, columns)


def _received(action: str, table: pa.Table, time: str, *, other: str = "owner_user_id") -> pa.Table:
    """Rows that happen to a named member; the bot stands for those who did them."""
    table = table.filter(is_person(table[other]))
    columns = {
        "member_id": BOT,
        "occurred_at": table[time],
        "action": action,
        "other_member_id": table[other],
    }
    return _rows(table, columns)


def _rows(table: pa.Table, columns: dict[str, object]) -> pa.Table:
    """Arrange columns and constants as the log, with the tags and the question that the table brings."""
    for name, raw in (("tags", "tags"), ("content_id", "question_id")):
        if raw in table.column_names:
            columns[name] = table[raw]
    arrays = []
    for field in ACTIVITY:
        value = columns.get(field.name)
        if not isinstance(value, pa.ChunkedArray):
            value = pa.repeat(pa.scalar(value, field.type), len(table))
        arrays.append(value.cast(field.type))
    return pa.table(arrays, schema=ACTIVITY)


def unique(table: pa.Table, key: str) -> pa.Table:
    """Drop rows without a key; refuse a repeated key, because a join would multiply its rows."""
    table = table.filter(pc.is_valid(table[key]))
    counts = table[key].value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        raise InputError(
            f"{len(repeated)} values of {key} are repeated, e.g. {repeated[0]}. Keep one row of each."
        )
    return table


def _find(keys: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.index_in(keys, value_set=among.combine_chunks())


def is_person(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell the ids of persons from the bot's and from null."""
    return pc.fill_null(pc.not_equal(ids, BOT), False)


def _of(votes: pa.Table, vote: int, kind: int) -> pa.Table:
    of_both = pc.and_kleene(pc.equal(votes["vote_type_id"], vote), pc.equal(votes["kind"], kind))
    return votes.filter(pc.fill_null(of_both, False))


def _replace(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
