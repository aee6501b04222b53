"""What was read without an error, and is likely to be wrong."""

from __future__ import annotations

import warnings

import pytest

from leadlight.community import Community
from leadlight.errors import LeadlightWarning

DAYS = [f"2025-0{month}-0{day}" for month in range(1, 7) for day in range(1, 10)]
LOG = [{"member_id": str(17 + i % 12), "occurred_at": day, "action": "view"} for i, day in enumerate(DAYS)]
DEAL = {"member_id": "17", "outcome": "won", "closed_at": "2025-04-01"}


def said(**tables):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", LeadlightWarning)
        Community(tables.pop("activity", LOG), **tables)
    return [str(w.message) for w in found]


def test_tables_that_fit_raise_no_doubt():
    members = [{"member_id": "17", "email": "ann@acme.example", "role": "customer"}]
    assert said(members=members, deals=[DEAL]) == []


@pytest.mark.parametrize("own", ["{}.0", "0{}"])
def test_identifiers_of_two_forms_are_told_where_nobody_is_in_both_tables(own):
    (told,) = said(members=[{"member_id": own.format(17 + i)} for i in range(12)])
    assert "None of the 12 rows of the members table is of a member who acts" in told


def test_members_who_only_receive_are_in_the_log():
    log = [row | {"other_member_id": str(99 + i % 12)} for i, row in enumerate(LOG)]
    assert said(activity=log, members=[{"member_id": str(99 + i)} for i in range(12)]) == []


def test_a_few_members_may_all_be_new():
    assert said(members=[{"member_id": "99"}]) == []


def test_deals_by_address_of_a_community_without_addresses_say_what_lacks():
    (told,) = said(deals=[{"email": "ann@acme.example", "outcome": "won", "closed_at": "2025-04-01"}])
    assert "no member has an address; give the column email" in told


def test_deals_with_identifiers_of_another_form_say_so():
    (told,) = said(deals=[DEAL | {"member_id": "17.0"}])
    assert "compare the identifiers" in told


def test_a_role_that_means_nothing_here_is_told_with_what_to_write():
    (told,) = said(members=[{"member_id": "17", "role": "moderator"}])
    assert "'moderator' (1)" in told
    assert "values={'role': {'moderator': 'employee'}}" in told


def test_a_deal_far_behind_the_log_is_told_with_the_date_to_freeze_at():
    (told,) = said(deals=[DEAL, DEAL | {"closed_at": "2035-04-01"}])
    assert "Of the deals 1 are dated" in told
    assert "frozen_at='2025-06-10'" in told


def test_to_freeze_at_the_date_that_is_told_sets_no_activity_aside():
    community = Community(LOG, deals=[DEAL, DEAL | {"closed_at": "2035-04-01"}], frozen_at="2025-06-10")
    assert len(community.activity) == len(LOG)


@pytest.mark.parametrize("options", [{"frozen_at": "2025-06-30"}, {"activity": LOG[:3]}])
def test_it_is_not_told_where_the_freeze_is_said_or_the_log_is_short(options):
    assert [t for t in said(deals=[DEAL | {"closed_at": "2025-09-01"}], **options) if "dated" in t] == []


def test_tags_that_look_joined_are_told():
    log = [row | {"tags": f"pricing,api{i}"} for i, row in enumerate(LOG)]
    (told,) = said(activity=log)
    assert "54 of 54 tags hold a comma" in told
    assert "tag_separator=','" in told
