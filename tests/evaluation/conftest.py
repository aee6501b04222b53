"""One simulated community, one small catalogue, one fit."""

from __future__ import annotations

import warnings

import pytest

from leadlight import (
    Behaviour,
    Capacity,
    Catalogue,
    Count,
    LeadQualifier,
    Peers,
    Recency,
    Visits,
    evaluate,
    observe,
    simulate_community,
)
from leadlight.errors import LeadlightWarning
from leadlight.plan import HandSetPoints
from leadlight.simulate import SimulationParameters

CATALOGUE = Catalogue(
    [
        Behaviour(
            "reads",
            (Count("view", window=("30d", "90d")), Recency("view")),
            reason=("viewed {view_count_30d:page|pages} in 30 days", "last read {view_recency_days:ago}"),
            points=HandSetPoints(0.2, (("view_count_30d", 1.0),), 50),
        ),
        Behaviour(
            "asks questions",
            (Count("question", window=("30d", "all")),),
            reason="asked {question_count_30d:question|questions} in 30 days",
            points=HandSetPoints(3, (("question_count_30d", 1.0),), 20),
        ),
        Behaviour(
            "looks around",
            (
                Visits(window="90d"),
                Count(("search", "download"), window="90d"),
                Peers(Count("view", window="90d")),
            ),
            reason="came {visit_count_90d:time|times} in 90 days",
        ),
    ],
    "small",
)


@pytest.fixture(scope="session", name="catalogue")
def _catalogue():
    return CATALOGUE


@pytest.fixture(scope="session", name="community")
def _community():
    parameters = SimulationParameters(score_contacts=0.1, random_contacts=0.02)
    return simulate_community(3000, 100, 8, parameters=parameters)[0]


@pytest.fixture(scope="session", name="observations")
def _observations(community):
    return observe(community, every="60d")


@pytest.fixture(scope="session", name="split")
def _split(observations):
    return observations.split("2025-02-24", "2025-02-24")


@pytest.fixture(scope="session", name="qualifier")
def _qualifier(community, split, catalogue):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        return LeadQualifier(catalogue, decision=Capacity(share=0.05)).fit(community, split[0])


@pytest.fixture(scope="session", name="report")
def _report(qualifier, community, split):
    return evaluate(qualifier, community, split[1], rounds=60)
