"""The public point-in-time check finds leaks, and finds none where there are none."""

from __future__ import annotations

import re
from functools import partial

import pytest
from tests.features.faults import LEAKS, plant

from leadlight.behaviours import (
    CORPORATE_COMMUNITY,
    PASSIVE_CANDIDATE,
    QUESTION_COMMUNITY,
    Behaviour,
    Catalogue,
    Count,
    Peers,
    Recency,
)
from leadlight.community import Community
from leadlight.community.members import Members
from leadlight.errors import InputError
from leadlight.simulate import simulate_community
from leadlight.testing import assert_point_in_time


@pytest.fixture(scope="module")
def community():
    return simulate_community(members=60, weeks=40, seed=1)[0]


@pytest.mark.parametrize(
    "catalogue", [CORPORATE_COMMUNITY, QUESTION_COMMUNITY, PASSIVE_CANDIDATE], ids=lambda c: c.name
)
@pytest.mark.parametrize("seed", range(3))
def test_the_catalogues_know_nothing_before_its_time(community, catalogue, seed):
    assert_point_in_time(community, catalogue, seed=seed)


def test_a_single_behaviour_is_checked_too(table):
    log = "; ".join(f"ann question 2024-03-0{d}T10:00:00 known=2024-03-0{d + 1}" for d in range(1, 8))
    asks = Behaviour("asks", (Count("question", window="2d"), Recency("question")), reason="")
    assert_point_in_time(table(log), asks, cutoffs=["2024-03-04", "2024-03-05T10:00"], members=["ann"])


def test_members_with_whole_numbers_are_checked_too():
    log = [{"member_id": i, "occurred_at": f"2024-03-0{i}T10:00", "action": "view"} for i in range(1, 8)]
    assert_point_in_time(Community(log), CORPORATE_COMMUNITY)


def test_neither_a_catalogue_nor_a_behaviour_is_an_error(community):
    with pytest.raises(InputError, match="Catalogue or a Behaviour"):
        assert_point_in_time(community, Count("view"))


def test_a_community_without_activity_is_an_error():
    with pytest.raises(InputError, match="nothing to check"):
        assert_point_in_time(
            Community({"member_id": [], "occurred_at": [], "action": []}), CORPORATE_COMMUNITY
        )


def test_the_community_is_not_changed(community):
    before = community.fingerprint
    assert_point_in_time(community, PASSIVE_CANDIDATE)
    assert community.fingerprint == before


PEERS = Catalogue([Behaviour("has colleagues", (Peers(Count(window="all")),), reason="")])


def reads_vocabularies_from_the_future(patch):
    original = Community.vocabulary

    def vocabulary(self, attribute, *, before=None, **more):
        return original(self, attribute, **more)

    patch.setattr(Community, "vocabulary", vocabulary)


def takes_accounts_as_of_today(patch):
    patch.setattr(Community, "peer_account_at", lambda self, at: self.peer_account)


def takes_employees_as_of_today(patch):
    patch.setattr(Members, "employee_at", lambda self, at: self.employee)


def takes_domains_as_of_today(patch):
    patch.setattr(Members, "domain_at", lambda self, code, at: self.domain[code])


def planted(leak):
    """A fault in what the sweep is given, for every kernel."""
    fault = partial(plant, change=LEAKS[leak])
    fault.__name__ = leak
    return fault


@pytest.mark.parametrize(
    ("fault", "catalogue"),
    [
        *((planted(leak), CORPORATE_COMMUNITY) for leak in LEAKS),
        (reads_vocabularies_from_the_future, CORPORATE_COMMUNITY),
        (takes_accounts_as_of_today, PEERS),
        (takes_employees_as_of_today, PEERS),
        (takes_domains_as_of_today, CORPORATE_COMMUNITY),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_planted_fault_is_found(community, monkeypatch, fault, catalogue):
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        assert_point_in_time(community, catalogue)


def test_the_error_names_behaviour_column_member_and_cutoff(table, monkeypatch):
    plant(monkeypatch, LEAKS["the cutoff itself counts"])
    asks = Behaviour("asks", (Count("question", window="28d"),), reason="")
    with pytest.raises(AssertionError) as raised:
        assert_point_in_time(
            table("ann question 2024-03-01; ann question 2024-03-02"), asks, ["2024-03-02"], ["ann"]
        )
    assert re.search(
        r"'asks': column 'question_count_28d' of member 'ann' at the cutoff 2024-03-02", str(raised.value)
    )
