"""Re-key one Stack Exchange site and keep only what `leadlight.read_stackexchange` reads.

    python data/prepare.py path/to/dump data/travel

SOURCE is a folder that `read_stackexchange` accepts (official XML dump or Parquet); DEST receives Parquet.
Ids of users, posts and votes are permuted with randomness that is drawn anew and kept nowhere, so two runs
give different files.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadlight.sources.stackexchange_dump import read_dump
from leadlight.sources.stackexchange_rows import (
    ACCEPT,
    ANSWER,
    BOT,
    BOUNTY,
    GIVEN_BADGES,
    QUESTION,
    RECEIVED_BADGES,
    VOTE_TYPES,
)

# Each kind of id has one key for all the columns that hold it.
IDS = {
    "user": (
        ("users", "user_id"),
        ("posts", "owner_user_id"),
        ("comments", "user_id"),
        ("votes", "user_id"),
        ("badges", "user_id"),
    ),
    "post": (("posts", "post_id"), ("posts", "parent_id"), ("comments", "post_id"), ("votes", "post_id")),
    "vote": (("votes", "vote_id"),),
}
# Rows that share a time are ordered by new ids, or else their old order would show through.
ORDER = {
    "users": ("created_at", "user_id"),
    "posts": ("created_at", "post_id"),
    "comments": ("created_at", "post_id", "user_id"),
    "votes": ("date", "vote_type_id", "post_id", "vote_id"),
    "badges": ("awarded_at", "name", "user_id"),
}


def main() -> None:
    """Read SOURCE, prepare it, write DEST."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SOURCE", help="folder of the dump")
    parser.add_argument("dest", metavar="DEST", type=Path, help="folder to write")
    arguments = parser.parse_args()
    arguments.dest.mkdir(parents=True, exist_ok=True)
    for name, table in prepare(read_dump(arguments.source)).items():
        write(table, arguments.dest / f"{name}.parquet")


def prepare(dump: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Drop what is not used, permute the ids, sort by time."""
    dump = rekey(select(dump))
    return {
        name: table.sort_by([(column, "ascending") for column in ORDER[name]]) for name, table in dump.items()
    }


def select(dump: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Keep the rows of which `read_stackexchange` makes activity, and the posts to which they refer."""
    posts, votes, badges = dump["posts"], dump["votes"], dump["badges"]
    is_post = among(posts["post_type_id"], (QUESTION, ANSWER))
    has_comment = pc.is_in(posts["post_id"], value_set=dump["comments"]["post_id"].combine_chunks())
    posts = posts.filter(pc.or_(is_post, has_comment))
    # A vote counts for its member or for the owner of its post; without either it is of no use.
    has_post = pc.is_in(votes["post_id"], value_set=posts["post_id"].combine_chunks())
    votes = votes.filter(pc.or_(pc.is_valid(votes["user_id"]), has_post))
    votes = votes.filter(among(votes["vote_type_id"], VOTE_TYPES))
    # Up and down votes are many, and nothing refers to them by their id.
    is_named = among(votes["vote_type_id"], (ACCEPT, BOUNTY))
    vote_id = pc.if_else(is_named, votes["vote_id"], pa.scalar(None, pa.int64()))
    votes = votes.set_column(votes.schema.get_field_index("vote_id"), "vote_id", vote_id)
    badges = badges.filter(pc.invert(pc.fill_null(badges["tag_based"], False))).drop_columns(["tag_based"])
    return {
        "users": dump["users"],
        "posts": posts,
        "comments": dump["comments"].filter(pc.is_valid(dump["comments"]["user_id"])),
        "votes": votes,
        "badges": badges.filter(among(badges["name"], (*GIVEN_BADGES, *RECEIVED_BADGES))),
    }


def rekey(dump: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Replace the ids of each kind by a random permutation of 1 to n; the bot stays what it is."""
    dump = dict(dump)
    for places in IDS.values():
        old = pa.chunked_array([chunk for table, column in places for chunk in dump[table][column].chunks])
        old = old.unique().drop_null()
        old = old.filter(pc.not_equal(old, BOT))
        # Sorting fresh random keys permutes without a seed that somebody could guess.
        new = np.argsort(np.frombuffer(os.urandom(8 * len(old)), np.uint64)).astype(np.int64) + 1
        old = pa.concat_arrays([old, pa.array([BOT], old.type)])
        key = pa.array(np.append(new, BOT))
        for name, column in places:
            table = dump[name]
            ids = key.take(pc.index_in(table[column].combine_chunks(), value_set=old))
            dump[name] = table.set_column(table.schema.get_field_index(column), column, ids)
    return dump


def among(values: pa.ChunkedArray, wanted: tuple[int | str, ...]) -> pa.ChunkedArray:
    """Tell which values are among those wanted; null is not."""
    return pc.is_in(values, value_set=pa.array(wanted, values.type))


def write(table: pa.Table, file: Path) -> None:
    """Write to a name of its own and move, so that no half table is ever in place."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    pq.write_table(
        table,
        draft,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in times],
        store_schema=True,
    )
    os.replace(draft, file)


if __name__ == "__main__":
    main()
