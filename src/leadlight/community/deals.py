"""Deals and approaches as codes of members and accounts: whom each row is about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.community.encode import member_codes
from leadlight.community.matching import Match, match_deals
from leadlight.community.members import NEVER, Members
from leadlight.community.tables import SCHEMAS, time_us

Codes = NDArray[np.int64]
_TIMES = ("opened", "closed", "known")


def matched_deals(
    table: pa.Table | None, members: Members, match: Match
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the member or account of each deal.

    Returns
    -------
    deals : DataFrame
        As in `Community.deals`, a row for each of the table: what found nobody has member and account -1.
    matches : DataFrame
        As in `Community.matches`.
    """
    if table is None:
        table = pa.table({c: pa.array([], pa.string()) for c in SCHEMAS["deals"]})
    texts = [c for c in table.column_names if not c.endswith("_at")]
    frame = pd.DataFrame({c: pd.Series(table[c].to_pylist(), dtype=object) for c in texts})
    people = members.facts.rename_axis("member_id").reset_index()
    matches = match_deals(frame, people[["member_id", "account_id", "email", "email_domain"]], match)
    times = {c: time_us(table, f"{c}_at", NEVER) if len(table) else np.empty(0, np.int64) for c in _TIMES}
    deals = pd.DataFrame(
        {
            "deal_id": matches["deal_id"],
            "outcome": frame["outcome"].astype(object).where(frame["outcome"].notna(), None),
            **{f"{c}_us": values for c, values in times.items()},
            "member": members.ids.get_indexer(pd.Index(matches["member_id"])),
            "account": members.account_ids.get_indexer(pd.Index(matches["account_id"])),
            "amount": frame["amount"].astype(float) if "amount" in frame else np.nan,
        }
    )
    # The date that sales expects an open deal to close on is no fact.
    deals.loc[deals["outcome"].isna(), "closed_us"] = NEVER
    return deals, matches


def members_named(table: pa.Table, members: Members) -> Codes:
    """Return the member of each row, by member_id, else by the address if one member alone has it; -1 for none."""
    codes = np.full(table.num_rows, -1, np.int64)
    if "member_id" in table.column_names:
        codes = member_codes(table["member_id"], members.ids)
    if "email" not in table.column_names:
        return codes
    addresses = members.facts["email"]
    alone = addresses[addresses.notna() & ~addresses.duplicated(keep=False)]
    found = pd.Series(members.ids.get_indexer(alone.index), alone.to_numpy(), dtype=np.int64)
    stand_ins = pd.Index(table["email"].to_pylist(), dtype=object)
    return np.where(codes < 0, found.reindex(stand_ins).fillna(-1).to_numpy(np.int64), codes)


def deal_contacts_of(table: pa.Table, member: Codes) -> pd.DataFrame:
    """Return which members each deal reached: deal_id, member."""
    frame = pd.DataFrame({"deal_id": pd.Series(table["deal_id"].to_pylist(), dtype=object), "member": member})
    return frame[frame["member"] >= 0].drop_duplicates()


def contacts_of(table: pa.Table, member: Codes) -> pd.DataFrame:
    """Return the approaches as in `Community.contacts`, in the order of time."""
    columns = table.column_names
    chosen_by = table["chosen_by"].to_pylist() if "chosen_by" in columns else None
    contacts = pd.DataFrame(
        {
            "member": member,
            "contacted_us": time_us(table, "contacted_at", NEVER),
            "chosen_by": pd.Series(chosen_by, dtype=object),
            "propensity": table["propensity"].to_numpy() if "propensity" in columns else np.nan,
        },
        index=range(table.num_rows),
    )
    if "email" in columns:
        contacts = contacts[contacts["member"] >= 0]
    return contacts.sort_values(["contacted_us", "member"], kind="stable", ignore_index=True)
