"""Deals find their member by address or domain; nothing is guessed, and no address stays."""

from __future__ import annotations

import pytest

from leadlight.community.matching import normal_domain, normal_email
from leadlight.errors import InputError, LeadlightWarning

LOG = (
    "ann view 2024-03-01; bob view 2024-03-01; cid view 2024-03-01; dee view 2024-03-01; eve view 2024-03-01"
)
MEMBERS = [
    {"member_id": "ann", "email": "Ann.Lee+news@Acme.example"},
    {"member_id": "bob", "email": "bob@acme.example"},
    {"member_id": "cid", "email": "shared@bolt.example"},
    {"member_id": "dee", "email": "shared@bolt.example"},
    {"member_id": "eve", "email": "eve@gmail.com"},
]


def match(table, match="email", members=MEMBERS, **deal):
    deals = [
        {"outcome": "won", "closed_at": "2024-03-05", **deal},
        {"outcome": "won", "closed_at": "2024-03-05", "member_id": "eve"},
    ]
    return table(LOG, members=members, deals=deals, match=match).matches.iloc[0]


@pytest.mark.parametrize(
    "address",
    [
        "ann.lee@acme.example",
        "  ANN.LEE@ACME.EXAMPLE ",
        "Ann Lee <ann.lee@acme.example>",
        "mailto:ann.lee@acme.example",
        "ann.lee+crm@acme.example",
    ],
)
def test_an_address_is_matched_in_one_form(table, address):
    assert match(table, email=address)[["status", "by", "member_id"]].tolist() == ["matched", "email", "ann"]


def test_dots_in_an_address_are_kept(table):
    assert match(table, email="annlee@acme.example")["by"] == "domain"


def test_an_address_that_two_members_share_is_ambiguous(table):
    found = match(table, email="shared@bolt.example")
    assert (found["status"], found["reason"]) == ("ambiguous", "2 members share this address")


def test_an_unknown_address_falls_back_to_its_company(table):
    assert match(table, email="boss@acme.example")[["status", "by", "account_id"]].tolist() == [
        "matched",
        "domain",
        "acme.example",
    ]


@pytest.mark.parametrize("domain", ["acme.example", "https://www.Acme.example/about", "ACME.example."])
def test_a_company_is_matched_by_its_domain(table, domain):
    assert match(table, domain=domain)["account_id"] == "acme.example"


@pytest.mark.parametrize("deal", [{"email": "someone@gmail.com"}, {"domain": "gmail.com"}])
def test_a_free_mail_domain_matches_no_account(table, deal):
    found = match(table, **deal)
    assert found["status"] == "unmatched"
    assert "free-mail" in found["reason"]


def test_a_domain_of_two_accounts_is_ambiguous(table):
    members = [{**m, "account_id": m["member_id"]} for m in MEMBERS]
    assert match(table, members=members, domain="acme.example")["reason"] == "2 accounts use this domain"


def test_an_identifier_goes_before_an_address(table):
    assert match(table, member_id="bob", email="ann.lee@acme.example")["member_id"] == "bob"


@pytest.mark.parametrize(
    ("deal", "reason"),
    [
        ({"member_id": "zoe"}, "no member has this member_id"),
        ({"account_id": "zoe"}, "no member belongs to this account_id"),
        ({"email": "x@nowhere.example"}, "no member has this address or domain"),
        ({"email": "not an address"}, "the address is not readable"),
        ({"email": None}, "no usable address or domain"),
    ],
)
def test_a_deal_that_matches_nobody_says_why(table, deal, reason):
    found = match(table, **deal)
    assert (found["status"], found["reason"]) == ("unmatched", reason)


def test_by_domain_no_address_is_looked_up(table):
    assert match(table, "domain", email="ann.lee@acme.example")[["by", "member_id"]].tolist() == [
        "domain",
        None,
    ]


def test_by_id_neither_is(table):
    assert match(table, "id", email="ann.lee@acme.example")["status"] == "unmatched"


def test_another_way_to_match_is_an_error(table):
    with pytest.raises(InputError, match="match is 'phone'"):
        match(table, "phone")


def test_addresses_in_the_log_match_too(rows):
    from leadlight.community import Community

    log = [{**row, "email": f"{row['member_id']}@acme.example"} for row in rows(LOG)]
    community = Community(
        log, deals=[{"email": "bob@acme.example", "outcome": "won", "closed_at": "2024-03-05"}]
    )
    assert community.matches["member_id"].tolist() == ["bob"]
    assert "email" not in community.activity.column_names


def test_no_address_stays_where_one_looks(table):
    deals = [{"email": "x@nowhere.example", "outcome": "won", "closed_at": "2024-03-05"}]
    with pytest.warns(LeadlightWarning) as warned:
        community = table(LOG, members=MEMBERS, deals=deals)
    seen = [repr(community), community.matches.to_csv(), community.members.facts.to_csv(), community.deals.to_csv(),
            community.rejects.to_csv(), str(community.activity.to_pylist()), str(warned[0].message)]  # fmt: skip
    assert not [text for text in seen if "@" in text]


def test_deals_that_match_nobody_warn(table):
    with pytest.warns(LeadlightWarning, match="None of the 1 deals matches a member"):
        table(LOG, deals=[{"member_id": "zoe", "outcome": "won", "closed_at": "2024-03-05"}])


@pytest.mark.parametrize("raw", [None, "", "x", "a b@c.example", "@c.example", "a@", "a@b", "a@b@c.example"])
def test_what_is_no_address_is_none(raw):
    assert normal_email(raw) is None


@pytest.mark.parametrize("raw", [None, "", "localhost", "a@b.example", "two words.example"])
def test_what_is_no_domain_is_none(raw):
    assert normal_domain(raw) is None
