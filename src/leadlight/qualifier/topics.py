"""Topics that tell buyers: tags that won accounts came to before their deals, more than everybody else does."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.behaviours import Behaviour, Catalogue, Count
from leadlight.community import Community
from leadlight.features import build_features
from leadlight.observations import Observations

Values = NDArray[np.float64]

TOPICS: Final = Catalogue(
    [Behaviour("reads by tag", (Count(by="tag", window="90d", top=200),), reason="looked into {tag.*}")]
)

FEWEST_ACCOUNTS = 20
"""Won accounts below which no topic is learned."""

CHANCE = 0.05
"""Chance that a topic is chosen at all where none tells anything: the test is as strict as there are topics to try."""

RATIO = 1.25
"""A chosen topic takes at least so many times the share that it has with others."""

MOST_USES = 5.0
"""Uses of a tag in a window that count, so that one keen reader does not choose it."""

OTHERS = 20_000
"""Rows of others that are looked at."""


def telling_tags(
    community: Community, observations: Observations, label: Values, seed: int = 0
) -> tuple[str, ...]:
    """Return the tags whose share of what an account looks into is higher before its won deal than it is with others.

    For each account that won, the uses in its windows are compared with what they would be if it read like the others.
    The differences are summed over accounts and divided by the root of the sum of their squares: rows of one account are
    not independent, and few large ones must not decide.

    Parameters
    ----------
    community : Community
    observations : Observations
        Training rows.
    label : float64 array of shape (n,)
    seed : int
        Of the draw among the others.

    Returns
    -------
    tuple of str
        The most telling first; empty below 20 won accounts or without tags.
    """
    won = np.flatnonzero(label == 1)
    groups = observations.groups[won].astype(str)
    if len(np.unique(groups)) < FEWEST_ACCOUNTS:
        return ()
    plan = TOPICS.compile(community, int(observations.cutoff_us.max()))
    tags = plan.vocabularies.get("tag", ())
    others = np.flatnonzero(label == 0)
    if len(others) > OTHERS:
        others = np.sort(np.random.default_rng(seed).choice(others, OTHERS, replace=False))

    def uses(rows: NDArray[np.int64]) -> Values:
        found = build_features(community, observations.take(rows), plan).to_numpy(np.float64)
        counted: Values = np.minimum(found, MOST_USES)
        return counted

    usual = uses(others).sum(axis=0)
    if not usual.any():
        return ()
    usual /= usual.sum()
    seen = pd.DataFrame(uses(won)).groupby(groups).mean().to_numpy()
    expected = usual * seen.sum(axis=1, keepdims=True)
    more = seen - expected
    spread = np.sqrt((more**2).sum(axis=0))
    score = np.divide(more.sum(axis=0), spread, out=np.zeros(len(tags)), where=spread > 0)
    strict = NormalDist().inv_cdf(1.0 - CHANCE / len(tags))
    chosen = (score > strict) & (seen.sum(axis=0) > RATIO * expected.sum(axis=0))
    return tuple(tags[k] for k in np.argsort(-score, kind="stable") if chosen[k])
