"""A plan over a whole log, for many observations at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.behaviours import Catalogue
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.kernels.sweep import sweep
from leadlight.observations import Observations
from leadlight.plan import Plan

Codes = NDArray[np.int64]


def build_features(community: Community, observations: Observations, plan: Plan | Catalogue) -> pd.DataFrame:
    """Compute the plan's columns for every observation.

    Parameters
    ----------
    community : Community
    observations : Observations
        Of the same community.
    plan : Plan or Catalogue
        A catalogue is compiled before the latest cutoff given. For training and test use one plan, compiled before
        the training period ends.

    Returns
    -------
    DataFrame of float32, shape (observations, columns)
        In the order of the observations, index (member_id, cutoff). Each row uses only what was known before its cutoff;
        NaN is missing.

    Raises
    ------
    InputError
        If `plan` is neither, or a member is not of this community.
    """
    cutoffs = observations.cutoff_us
    if isinstance(plan, Catalogue):
        plan = plan.compile(community, int(cutoffs.max()) if len(cutoffs) else None)
    if not isinstance(plan, Plan):
        raise InputError(f"plan is a {type(plan).__name__}; give a Plan or a Catalogue.")
    codes = community.codes(observations.frame["member_id"])
    joined = community.members.joined_us[codes]
    values = np.empty((len(codes), len(plan.columns)), np.float32)
    for rows, account_of in _by_accounts(community, codes, cutoffs):
        values[rows] = sweep(
            plan, community.log, codes[rows], cutoffs[rows], account_of=account_of, joined=joined[rows]
        )
    return pd.DataFrame(
        values, index=observations.index, columns=pd.Index(plan.column_names), dtype=np.float32
    )


def _by_accounts(community: Community, codes: Codes, cutoffs: Codes) -> Iterator[tuple[Codes, Codes | None]]:
    """Yield the rows that see the same accounts, and those accounts: facts join as of the cutoff."""
    everything = np.arange(len(codes), dtype=np.int64)
    if not community.has_accounts or not len(codes):
        yield everything, None
        return
    member, at = community.members.account_changes()
    # A change counts where its member was seen or asked for before it; most begin with the member.
    log = community.log
    seen = np.full(len(community.members), np.iinfo(np.int64).max)
    np.minimum.at(seen, codes, cutoffs - 1)
    acted = log.actor >= 0
    np.minimum.at(seen, log.actor[acted], log.time[acted])
    epoch = np.searchsorted(np.unique(at[seen[member] <= at]), cutoffs, "left")
    for one in np.unique(epoch):
        rows = everything[epoch == one]
        yield rows, community.peer_account_at(int(cutoffs[rows].max()))
