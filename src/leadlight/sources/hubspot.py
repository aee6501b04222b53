"""Exports of HubSpot: deals, and the contacts and companies that they are associated with."""

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

DEALS = {
    "id": ("Record ID", "Deal ID", "Record ID - Deal", "hs_object_id"),
    "stage": ("Deal Stage", "dealstage"),
    "amount": ("Amount", "amount"),
    "currency": ("Currency", "deal_currency_code"),
    "opened": ("Create Date", "createdate"),
    "closed_on": ("Close Date", "closedate"),
    "closed": ("Is Deal Closed?", "Is Closed", "hs_is_closed"),
    "won": ("Is Closed Won", "hs_is_closed_won"),
    "people": ("Associated Contact IDs", "Associated Contact"),
    "firms": ("Associated Company IDs", "Associated Company"),
}
CONTACTS = {
    "id": ("Record ID", "Contact ID", "Record ID - Contact", "hs_object_id"),
    "email": ("Email", "email"),
}
COMPANIES = {
    "id": ("Record ID", "Company ID", "Record ID - Company", "hs_object_id"),
    "domain": ("Company Domain Name", "domain", "Website URL"),
}


def read_hubspot(
    deals: Any,
    *,
    contacts: Any = None,
    companies: Any = None,
    stages: Mapping[str, str | None] | None = None,
    rates: Mapping[str, float] | None = None,
    decimal: str = ".",
) -> CrmTables:
    """Read exports of HubSpot as deals.

    Parameters
    ----------
    deals : path, glob or frame
        CSV of the export of deals, with the columns for associated records.
    contacts, companies : path, glob or frame, optional
        The exports of these objects: addresses and domains.
    stages : mapping, optional
        What your own stages mean: ``{"Signed": "won", "Dormant": None}``. Without a word from you the columns about being closed and
        won decide, and where they are absent "Closed won" and "Closed lost" do, in any pipeline.
    rates : mapping, optional
        Value of one unit of each currency; needed if there are several.
    decimal : {".", ","}
        What separates the cents.

    Returns
    -------
    CrmTables
        Without ``contacts``: an export holds no list of approaches, only the last one, and of that nobody knows whether it
        led to the deal or followed from it.

    Raises
    ------
    SchemaError
        If a file lacks a column that it cannot do without.
    InputError
        If a stage is mapped to another word, or amounts are in several currencies without rates.

    Notes
    -----
    * Times are in the zone of your account and do not say so: pass ``tz=`` to `Community`.
    * The close date of an open deal is a hope and left out.
    * A deal may have several contacts, in no order that means anything: all are in ``deal_contacts``, the first with an address is
      the deal's own.
    """
    told = Export(deals, "deals", DEALS, ("id", "stage", "opened"))
    people = None if contacts is None else Export(contacts, "contacts", CONTACTS, ("id", "email"))
    firms = None if companies is None else Export(companies, "companies", COMPANIES, ("id", "domain"))
    told.refuse(told.frame["id"].isna(), "no identifier")
    told.refuse(told.frame["id"].duplicated(), "repeated identifier")
    frame = told.frame
    outcome, counted = outcomes(told, stages or {})
    address = {} if people is None else lookup(people.frame["id"].str.strip(), people.frame["email"])
    domain = {} if firms is None else lookup(firms.frame["id"].str.strip(), firms.frame["domain"])
    who = frame["people"].map(lambda ids: [address[i] for i in _ids(ids) if i in address])
    where = frame["firms"].map(lambda ids: [domain[i] for i in _ids(ids) if i in domain])
    found = pd.DataFrame(
        {
            "deal_id": frame["id"],
            "email": who.map(lambda e: e[0] if e else None),
            "domain": where.map(lambda d: d[0] if d else None),
            "outcome": outcome,
            "opened_at": day_or_time(frame["opened"]),
            "closed_at": day_or_time(frame["closed_on"]).where(outcome.notna(), None),
            "known_at": pd.Series(None, frame.index, dtype=object),
            "amount": amounts(told, rates, decimal),
        }
    )
    nobody = found["email"].isna() & found["domain"].isna()
    told.refuse(nobody, "neither a contact's address nor a company's domain is known")
    found, who = found[~nobody], who[~nobody]
    together = pd.DataFrame({"deal_id": found["deal_id"], "email": who}).explode("email").dropna()
    return CrmTables(
        plain_rows(found),
        together.drop_duplicates(ignore_index=True),
        pd.DataFrame(columns=["email", "contacted_at"]),
        counted,
        refused_rows([told, people, firms]),
    )


def _ids(text: Any) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()] if isinstance(text, str) else []
