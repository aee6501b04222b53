"""One fit on the shared small community."""

from __future__ import annotations

import warnings

import pytest

from leadlight import Capacity, LeadQualifier
from leadlight.errors import LeadlightWarning


@pytest.fixture(scope="session", name="qualifier")
def _qualifier(community, observations, catalogue):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        return LeadQualifier(catalogue, decision=Capacity(share=0.05, per_account=1)).fit(
            community, observations
        )


@pytest.fixture(scope="session", name="at")
def _at(community):
    return community.frozen_us + 1


@pytest.fixture(scope="session", name="scores")
def _scores(qualifier, community, at):
    return qualifier.score(community, at)
