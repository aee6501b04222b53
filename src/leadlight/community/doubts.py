"""What a community that was read without an error may still have wrong: said once, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from leadlight.community.activity import MEMBERS
from leadlight.community.values import ROLES
from leadlight.moments import DAY_US, moment_text

if TYPE_CHECKING:
    from leadlight.community.community import Community

LATE_DAYS: Final = 45
"""A deal or an approach further behind the last activity is a wrong date, or the log is an old export."""

SHOWN: Final = 3
FEW_MEMBERS: Final = 10
FEW_TAGS: Final = 20
ONE_TAG_SHARE: Final = 0.2


def doubts(community: Community) -> Iterator[str]:
    """Yield a sentence for each thing that is likely to be wrong: no value of a member, no address."""
    yield from _deals_of_nobody(community)
    yield from _members_who_never_act(community)
    yield from _roles(community)
    yield from _late(community)
    yield from _joined_tags(community)


def _deals_of_nobody(community: Community) -> Iterator[str]:
    matches = community.matches
    if not len(matches) or (matches["status"] == "matched").any():
        return
    why = "community.matches says why"
    facts = community.members.facts
    if matches["reason"].str.startswith("no member has this address").all():
        if not (facts["email"].notna() | facts["email_domain"].notna()).any():
            why = "no member has an address; give the column email in the log or in a table of members"
    elif matches["reason"].str.startswith("no member has this member_id").all():
        why = "compare the identifiers of both tables: 17, '17.0' and '017' are three"
    yield f"None of the {len(matches):,} deals matches a member; {why}."


def _members_who_never_act(community: Community) -> Iterator[str]:
    table = community._others.get("members")
    if table is None or not table.num_rows or not len(community._activity):
        return
    entries = community._activity.entries
    acting = [entries[column] for column in MEMBERS if column in entries]
    named = table["member_id"].unique()
    if any(pc.any(pc.is_in(named, value_set=ids.cast(named.type))).as_py() for ids in acting):
        return
    if min(len(named), len({one for ids in acting for one in ids.to_pylist()})) >= FEW_MEMBERS:
        yield (
            f"None of the {table.num_rows:,} rows of the members table is of a member who acts in the log; compare "
            "the identifiers of both: 17, '17.0' and '017' are three."
        )


def _roles(community: Community) -> Iterator[str]:
    roles = community.members.facts["role"].dropna()
    other = roles[~roles.isin(ROLES)].value_counts()
    if len(other):
        shown = ", ".join(f"{role!r} ({count:,})" for role, count in other.head(SHOWN).items())
        yield (
            f"The members table has the roles {shown}; those that mean something are {', '.join(ROLES)}, and anybody else "
            f"may stand on a call list. If they are staff: values={{'role': {{{other.index[0]!r}: 'employee'}}}}."
        )


def _late(community: Community) -> Iterator[str]:
    if not len(community._activity) or community._frozen is not None:
        return
    last = community.newest_us
    if last - community.start_us < LATE_DAYS * DAY_US:
        return
    for name, frame, column in (
        ("deals", community.deals, "closed_us"),
        ("contacts", community.contacts, "contacted_us"),
    ):
        late = (
            0 if frame is None else int((frame[column].to_numpy(np.int64) > last + LATE_DAYS * DAY_US).sum())
        )
        if frame is not None and late:
            yield (
                f"Of the {name} {late:,} are dated more than {LATE_DAYS} days behind the last activity "
                f"({moment_text(last)[:10]}), the last on {moment_text(int(frame[column].max()))[:10]}: windows up to then "
                f"count as observed. If that is a wrong date, or the log an older export, give "
                f"frozen_at={moment_text(last + DAY_US)[:10]!r}."
            )


def _joined_tags(community: Community) -> Iterator[str]:
    tags = community._activity.tags.to_pylist()
    joined = [tag for tag in tags if "," in tag]
    if len(joined) >= FEW_TAGS and len(joined) > ONE_TAG_SHARE * len(tags):
        yield (
            f"{len(joined):,} of {len(tags):,} tags hold a comma, such as {joined[0][:40]!r}, and count as one tag each; if "
            "they are several, give tag_separator=','."
        )
