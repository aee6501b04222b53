"""Exports of customer systems: whose deal, what became of it, when that was known, and what cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from leadlight.community import Community
from leadlight.errors import InputError, SchemaError
from leadlight.sources import read_hubspot, read_salesforce
from leadlight.sources.crm import save_refused

OPPORTUNITIES = """Id,AccountId,StageName,Amount,CurrencyIsoCode,CreatedDate,CloseDate,LastStageChangeDate,IsClosed,IsWon,IsDeleted
006000000000001AAA,001000000000001AAA,Closed Won,1200.50,EUR,2024-01-10T09:00:00.000+0000,2024-03-01,2024-03-05T10:00:00.000+0000,true,true,false
006000000000002AAA,001000000000002AAA,Negotiation,300,EUR,2024-01-11T09:00:00.000+0000,2024-06-30,2024-02-01T10:00:00.000+0000,false,false,false
006000000000003AAA,001000000000002AAA,Gone,,EUR,2024-01-12T09:00:00.000+0000,2024-02-10,2024-02-10T10:00:00.000+0000,true,false,false
006000000000004AAA,,Closed Won,5,EUR,2024-01-12T09:00:00.000+0000,2024-02-10,,true,true,false
006000000000005AAA,001000000000002AAA,Closed Won,5,EUR,2024-01-12T09:00:00.000+0000,2024-02-10,,true,true,true
"""
CONTACTS = """Id,AccountId,Email
003000000000001AAA,001000000000001AAA,ann@acme.com
003000000000002AAA,001000000000001AAA,bo@acme.com
"""
ROLES = """OpportunityId,ContactId,IsPrimary
006000000000001,003000000000002,false
006000000000001,003000000000001,true
"""
ACCOUNTS = "Id,Website\n001000000000002AAA,https://www.Beta.io/home\n"
LEADS = """Id,Email,IsConverted,ConvertedDate,ConvertedContactId,ConvertedOpportunityId
00Q000000000001AAA,old@acme.com,true,2024-01-05 00:00:00,003000000000001AAA,006000000000001AAA
"""
TASKS = """WhoId,ActivityDate,Status
003000000000001AAA,2024-01-20,Completed
003000000000002AAA,2024-01-21,Not Started
003000000000009AAA,2024-01-22,Completed
"""


def files(tmp_path: Any, **texts: str) -> dict[str, str]:
    """Write each text to a file of its name."""
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in texts}


@pytest.fixture
def salesforce(tmp_path: Any) -> Any:
    return read_salesforce(
        **files(
            tmp_path,
            opportunities=OPPORTUNITIES,
            contacts=CONTACTS,
            contact_roles=ROLES,
            accounts=ACCOUNTS,
            leads=LEADS,
            tasks=TASKS,
        )
    )


def deal(crm: Any, number: int) -> dict[str, Any]:
    """Return one deal of Salesforce by the end of its identifier."""
    (row,) = crm.deals[crm.deals["deal_id"].str.endswith(f"{number}AAA")].to_dict("records")
    return row


class TestSalesforce:
    def test_a_closed_deal_counts_from_when_it_was_known_to_be_closed(self, salesforce):
        won = deal(salesforce, 1)
        assert (won["outcome"], won["closed_at"]) == ("won", "2024-03-01")
        assert won["known_at"] == "2024-03-05T10:00:00.000+0000"

    def test_the_hoped_for_close_of_an_open_deal_is_no_fact(self, salesforce):
        row = deal(salesforce, 2)
        assert (row["outcome"], row["closed_at"], row["known_at"]) == (None, None, None)

    def test_flags_say_more_than_a_name_of_a_stage(self, salesforce):
        assert deal(salesforce, 3)["outcome"] == "lost"

    def test_the_primary_contact_is_the_buyer_and_the_others_are_named_too(self, salesforce):
        assert deal(salesforce, 1)["email"] == "ann@acme.com"
        assert sorted(salesforce.deal_contacts["email"]) == ["ann@acme.com", "bo@acme.com"]

    def test_a_lead_that_is_locked_does_not_speak_for_its_contact(self, salesforce):
        assert "old@acme.com" not in str(salesforce.tables())

    def test_a_lead_speaks_where_no_contact_is_exported(self, tmp_path):
        crm = read_salesforce(**files(tmp_path, opportunities=OPPORTUNITIES, leads=LEADS))
        assert deal(crm, 1)["email"] == "old@acme.com"

    def test_a_day_of_conversion_opens_the_deal_and_stays_a_day(self, salesforce):
        assert deal(salesforce, 1)["opened_at"] == "2024-01-05"

    def test_a_firm_is_found_by_its_website(self, salesforce):
        assert deal(salesforce, 2)["domain"] == "https://www.Beta.io/home"

    def test_what_cannot_be_used_is_kept_whole_with_the_reason(self, salesforce, tmp_path):
        reasons = salesforce.refused.set_index(["file", "row"])["reason"].to_dict()
        assert reasons == {
            ("opportunities", 4): "deleted",
            ("opportunities", 3): "neither a contact's address nor an account's domain is known",
            ("tasks", 1): "not completed",
            ("tasks", 2): "nobody whose address is known",
        }
        save_refused(salesforce, tmp_path / "refused.jsonl")
        saved = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
        assert saved[1]["values"]["Id"] == "006000000000004AAA"

    def test_each_stage_says_what_it_was_taken_for(self, salesforce):
        assert salesforce.stages.to_dict("records") == [
            {"stage": "Closed Won", "outcome": "won", "deals": 2},
            {"stage": "Gone", "outcome": "lost", "deals": 1},
            {"stage": "Negotiation", "outcome": "open", "deals": 1},
        ]

    def test_a_community_takes_the_tables_and_finds_the_members_by_address(self, salesforce):
        log = [
            {"member_id": name, "email": f"{name}@acme.com", "occurred_at": "2024-01-01", "action": "view"}
            for name in ("ann", "bo")
        ]
        members = [{"member_id": "ann", "email": "ann@acme.com"}, {"member_id": "bo", "email": "bo@acme.com"}]
        community = Community(log, members=members, **salesforce.tables())
        assert community.matches["status"].tolist() == ["matched", "unmatched", "unmatched"]
        assert community.contacts["member"].tolist() == [0]
        assert community._deal_contacts["member"].tolist() == [0, 1]

    def test_the_columns_of_a_report_are_understood(self, tmp_path):
        report = 'Opportunity ID,Stage,Created Date,Close Date,Amount,Account ID\n006000000000001,Closed Won,2024-01-10,2024-03-01,"EUR 1,200.50",001000000000002\n'
        crm = read_salesforce(**files(tmp_path, opportunities=report, accounts=ACCOUNTS))
        assert crm.deals[["outcome", "amount"]].to_numpy().tolist() == [["won", 1200.5]]

    def test_your_own_stages_win_over_flags(self, tmp_path):
        paths = files(tmp_path, opportunities=OPPORTUNITIES, contacts=CONTACTS, accounts=ACCOUNTS)
        crm = read_salesforce(**paths, stages={"Gone": None, "negotiation": "won"})
        assert deal(crm, 3)["outcome"] is None
        assert deal(crm, 2)["outcome"] == "won"

    def test_several_currencies_need_rates(self, tmp_path):
        mixed = OPPORTUNITIES.replace("300,EUR", "300,USD")
        paths = files(tmp_path, opportunities=mixed, accounts=ACCOUNTS)
        with pytest.raises(InputError, match=r"\['EUR', 'USD'\]; give rates="):
            read_salesforce(**paths)
        with pytest.raises(InputError, match=r"rates= lacks \['USD'\]"):
            read_salesforce(**paths, rates={"EUR": 1})
        crm = read_salesforce(**paths, rates={"EUR": 1, "USD": 0.5})
        assert deal(crm, 2)["amount"] == 150

    def test_a_missing_column_is_named_with_the_closest(self, tmp_path):
        paths = files(tmp_path, opportunities="Id,StagName,CreatedDate\n1,x,2024-01-01\n")
        with pytest.raises(SchemaError, match=r"lacks 'StageName' \(did you mean 'StagName'\?\)"):
            read_salesforce(**paths)

    def test_a_stage_is_won_lost_or_open(self, tmp_path):
        with pytest.raises(InputError, match=r"\['gewonnen'\]; a stage is 'won', 'lost' or None"):
            read_salesforce(**files(tmp_path, opportunities=OPPORTUNITIES), stages={"Gone": "gewonnen"})


DEALS = """Record ID,Deal Name,Deal Stage,Pipeline,Amount,Create Date,Close Date,Associated Contact IDs,Associated Company IDs
11,"Acme; big",Closed won (Sales Pipeline),Sales,"1.200,50",2024-01-10 09:30,2024-03-01 17:00,21;22,31
12,Beta,Qualified to buy,Sales,,2024-01-11 09:30,2024-09-01 00:00,,32
13,Nobody,Closed lost,Sales,,2024-01-11 09:30,2024-02-01 00:00,99,
"""
PEOPLE = "Record ID,Email\n22,bo@acme.com\n21,\n"
FIRMS = "Record ID,Company Domain Name\n31,acme.com\n32,beta.io\n"


class TestHubSpot:
    @pytest.fixture
    def crm(self, tmp_path):
        return read_hubspot(**files(tmp_path, deals=DEALS, contacts=PEOPLE, companies=FIRMS), decimal=",")

    def test_deals_have_their_outcome_their_people_and_their_firm(self, crm):
        told = crm.deals[["deal_id", "email", "domain", "outcome", "closed_at", "amount"]].to_dict("records")
        assert told == [
            {
                "deal_id": "11",
                "email": "bo@acme.com",
                "domain": "acme.com",
                "outcome": "won",
                "closed_at": "2024-03-01T17:00",
                "amount": 1200.5,
            },
            {
                "deal_id": "12",
                "email": None,
                "domain": "beta.io",
                "outcome": None,
                "closed_at": None,
                "amount": None,
            },
        ]

    def test_a_deal_of_nobody_is_refused(self, crm):
        assert crm.refused[["row", "reason"]].to_numpy().tolist() == [
            [2, "neither a contact's address nor a company's domain is known"]
        ]

    def test_the_repr_counts(self, crm):
        assert repr(crm) == "CrmTables(2 deals (1 won, 1 open), 1 rows refused)"


class TestAddressesInPlaceOfIdentifiers:
    LOG = (
        {"member_id": "ann", "email": "ann@acme.com", "occurred_at": "2024-01-01", "action": "view"},
        {"member_id": "bob", "email": "bob@acme.com", "occurred_at": "2024-01-01", "action": "view"},
    )

    def community(self, *addresses: str | None, **options: Any) -> Community:
        contacts = [{"email": a, "contacted_at": "2024-02-01"} for a in addresses]
        return Community(list(self.LOG), contacts=contacts, **options)

    def test_contacts_find_their_member(self):
        assert self.community("Bob@acme.com").contacts["member"].tolist() == [1]

    def test_an_address_of_nobody_is_counted(self):
        community = self.community("bob@acme.com", "eve@acme.com")
        assert community.contacts["member"].tolist() == [1]
        assert community.rejects[["table", "reason", "rows"]].to_numpy().tolist() == [
            ["contacts", "no single member has this address", 1]
        ]

    def test_a_row_without_either_is_counted(self):
        assert self.community("bob@acme.com", None).rejects["reason"].tolist() == [
            "member_id and email are null"
        ]

    def test_who_is_forgotten_leaves_these_rows_too(self):
        community = self.community("bob@acme.com", "ann@acme.com")
        community.forget("bob")
        assert community.members.ids[community.contacts["member"]].tolist() == ["ann"]

    def test_neither_column_is_an_error(self):
        with pytest.raises(SchemaError, match="contacts table needs member_id"):
            Community(list(self.LOG), contacts=pd.DataFrame({"contacted_at": ["2024-01-01"]}))
