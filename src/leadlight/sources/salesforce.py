"""Exports of Salesforce: opportunities, and the leads, contacts, accounts and tasks that say whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from leadlight.sources.crm import (
    CrmTables,
    Export,
    amounts,
    day_or_time,
    lookup,
    outcomes,
    plain_rows,
    refused_rows,
)

OPPORTUNITIES = {
    "id": ("Id", "Opportunity ID", "Opportunity ID (18)"),
    "account": ("AccountId", "Account ID"),
    "contact": ("ContactId", "Primary Contact ID"),
    "stage": ("StageName", "Stage"),
    "amount": ("Amount",),
    "currency": ("CurrencyIsoCode", "Opportunity Currency", "Amount Currency"),
    "opened": ("CreatedDate", "Created Date"),
    "closed_on": ("CloseDate", "Close Date"),
    "changed": ("LastStageChangeDate", "Last Stage Change Date"),
    "closed": ("IsClosed", "Closed"),
    "won": ("IsWon", "Won"),
    "deleted": ("IsDeleted", "Deleted"),
}
CONTACTS = {
    "id": ("Id", "Contact ID"),
    "account": ("AccountId", "Account ID"),
    "email": ("Email",),
}
ACCOUNTS = {"id": ("Id", "Account ID"), "domain": ("Website", "Domain", "Email Domain")}
ROLES = {
    "deal": ("OpportunityId", "Opportunity ID"),
    "contact": ("ContactId", "Contact ID"),
    "primary": ("IsPrimary", "Primary"),
}
LEADS = {
    "id": ("Id", "Lead ID"),
    "email": ("Email",),
    "converted": ("IsConverted", "Converted"),
    "converted_on": ("ConvertedDate", "Converted Date"),
    "contact": ("ConvertedContactId", "Converted Contact ID"),
    "deal": ("ConvertedOpportunityId", "Converted Opportunity ID"),
}
TASKS = {
    "who": ("WhoId", "Name ID", "Contact/Lead ID"),
    "on": ("CompletedDateTime", "ActivityDate", "Due Date", "Date"),
    "status": ("Status",),
}


def read_salesforce(
    opportunities: Any,
    *,
    contacts: Any = None,
    accounts: Any = None,
    contact_roles: Any = None,
    leads: Any = None,
    tasks: Any = None,
    stages: Mapping[str, str | None] | None = None,
    rates: Mapping[str, float] | None = None,
    decimal: str = ".",
) -> CrmTables:
    """Read exports of Salesforce as deals.

    Parameters
    ----------
    opportunities : path, glob or frame
        CSV of the data export (``StageName``) or of a report with ISO dates (``Stage``).
    contacts, accounts, contact_roles, leads, tasks : path, glob or frame, optional
        The objects of these names; each adds who is meant: addresses, the company's domain, further people of a deal, the lead
        that a deal was converted from, completed calls and e-mails of sales.
    stages : mapping, optional
        What your own stages mean: ``{"Signed": "won", "Dormant": None}``. Without a word from you ``IsClosed`` and ``IsWon``
        decide, and where they are absent "Closed Won" and "Closed Lost" do.
    rates : mapping, optional
        Value of one unit of each currency; needed if there are several.
    decimal : {".", ","}
        What separates the cents.

    Returns
    -------
    CrmTables

    Raises
    ------
    SchemaError
        If a file lacks a column that it cannot do without.
    InputError
        If a stage is mapped to another word, or amounts are in several currencies without rates.

    Notes
    -----
    * ``CloseDate`` is a day, and of an open opportunity the day on which sales hopes to close it: then it is no fact and left
      out. Where ``LastStageChangeDate`` is later, the deal was not known to be closed before it (``known_at``).
    * ``ConvertedDate`` is a day as well. It opens a deal where that is earlier than ``CreatedDate``.
    * A lead is locked at its conversion, so its address may be an old one: the contact's own address comes first.
    * Reports show identifiers with 15 characters, the data export with 18: the first 15 decide.
    * Deleted rows, deals without an identifier and deals that nobody can be found for are in ``refused``, whole.

    Examples
    --------
    >>> crm = read_salesforce("Opportunity.csv", contacts="Contact.csv")  # doctest: +SKIP
    >>> community = Community(activity="log.csv", **crm.tables())  # doctest: +SKIP
    """
    deals = Export(opportunities, "opportunities", OPPORTUNITIES, ("id", "stage", "opened"))
    people = None if contacts is None else Export(contacts, "contacts", CONTACTS, ("id", "email"))
    firms = None if accounts is None else Export(accounts, "accounts", ACCOUNTS, ("id", "domain"))
    roles = (
        None if contact_roles is None else Export(contact_roles, "contact roles", ROLES, ("deal", "contact"))
    )
    converted = None if leads is None else Export(leads, "leads", LEADS, ("id", "email"))
    deals.refuse(deals.frame["id"].isna(), "no identifier")
    deals.refuse(deals.flag("deleted").eq(True), "deleted")
    deals.refuse(_key(deals.frame["id"]).duplicated(), "repeated identifier")
    frame = deals.frame
    key = _key(frame["id"])
    outcome, counted = outcomes(deals, stages or {})
    named = _named(key, frame, roles, converted)
    address = _addresses(people, converted)
    domain = {} if firms is None else lookup(_key(firms.frame["id"]), firms.frame["domain"])
    first = {deal: e for deal, who in reversed(named) if (e := address.get(who)) is not None}
    opened = day_or_time(frame["opened"])
    if converted is not None:
        opened = _earlier(
            opened, key.map(lookup(_key(converted.frame["deal"]), converted.frame["converted_on"]))
        )
    closed_on = day_or_time(frame["closed_on"]).where(outcome.notna(), None)
    changed = day_or_time(frame["changed"]).where(outcome.notna(), None)
    found = pd.DataFrame(
        {
            "deal_id": frame["id"],
            "email": key.map(first),
            "domain": _key(frame["account"]).map(domain),
            "outcome": outcome,
            "opened_at": opened,
            "closed_at": closed_on,
            "known_at": changed.where(changed.str[:10] > closed_on.str[:10], None),
            "amount": amounts(deals, rates, decimal),
        }
    )
    nobody = found["email"].isna() & found["domain"].isna()
    deals.refuse(nobody, "neither a contact's address nor an account's domain is known")
    found = found[~nobody]
    together = pd.DataFrame(
        [(deal, address[who]) for deal, who in named if who in address], columns=["key", "email"]
    )
    together["deal_id"] = together["key"].map(lookup(_key(found["deal_id"]), found["deal_id"]))
    together = together.dropna()[["deal_id", "email"]].drop_duplicates(ignore_index=True)
    calls, approaches = _approaches(tasks, address)
    return CrmTables(
        plain_rows(found),
        together,
        approaches,
        counted,
        refused_rows([deals, people, firms, roles, converted, calls]),
    )


def _named(key: pd.Series[Any], frame: pd.DataFrame, roles: Export | None, leads: Export | None) -> list[Any]:
    """Return (deal, contact or lead) for everybody whom an opportunity names, the primary contact first."""
    found = list(zip(key, _key(frame["contact"]), strict=True))
    if roles is not None:
        primary = roles.flag("primary").eq(True)
        ordered = roles.frame.loc[[*roles.frame.index[primary], *roles.frame.index[~primary]]]
        found += list(zip(_key(ordered["deal"]), _key(ordered["contact"]), strict=True))
    if leads is not None:
        for person in ("contact", "id"):
            found += list(zip(_key(leads.frame["deal"]), _key(leads.frame[person]), strict=True))
    return [(deal, who) for deal, who in found if isinstance(deal, str) and isinstance(who, str)]


def _addresses(people: Export | None, leads: Export | None) -> dict[str, str]:
    found: dict[str, str] = {}
    if leads is not None:
        # The address of the lead stands in for the contact until the contact's own is known.
        found |= lookup(_key(leads.frame["contact"]), leads.frame["email"])
        found |= lookup(_key(leads.frame["id"]), leads.frame["email"])
    if people is not None:
        own = lookup(_key(people.frame["id"]), people.frame["email"])
        found |= own
        if leads is not None:
            after = _key(leads.frame["contact"]).map(own)
            found |= lookup(_key(leads.frame["id"]), after)
    return found


def _approaches(tasks: Any, address: Mapping[str, str]) -> tuple[Export | None, pd.DataFrame]:
    if tasks is None:
        return None, pd.DataFrame(columns=["email", "contacted_at"])
    export = Export(tasks, "tasks", TASKS, ("who", "on"))
    if export.has("status"):
        done = export.frame["status"].str.strip().str.lower().isin(["completed", "done"])
        export.refuse(~done, "not completed")
    export.refuse(~_key(export.frame["who"]).isin(list(address)), "nobody whose address is known")
    frame = pd.DataFrame(
        {"email": _key(export.frame["who"]).map(address), "contacted_at": day_or_time(export.frame["on"])}
    )
    return export, frame.dropna().reset_index(drop=True)


def _earlier(times: pd.Series[Any], days: pd.Series[Any]) -> pd.Series[Any]:
    days = days.str[:10]
    return days.where(days < times.str[:10], times)


def _key(identifiers: pd.Series[Any]) -> pd.Series[Any]:
    """Return the 15 characters that tell records apart; the other three only guard against lost letter case."""
    return identifiers.str.strip().str[:15]
