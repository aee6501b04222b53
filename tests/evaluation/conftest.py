"""One fit on the shared small community."""

from __future__ import annotations

import warnings

import pytest

from leadlight import Capacity, LeadQualifier, evaluate
from leadlight.errors import LeadlightWarning


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
