"""Deals to members: exact normalised e-mail first, then the company's domain; nothing is guessed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any, Literal

import pandas as pd

from leadlight.errors import InputError

Match = Literal["email", "domain", "id"]

FREE_MAIL = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "t-online.de",
        "freenet.de",
        "mail.com",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "zoho.com",
        "fastmail.com",
        "hey.com",
        "qq.com",
        "163.com",
        "126.com",
        "sina.com",
        "naver.com",
        "hanmail.net",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "laposte.net",
        "libero.it",
        "virgilio.it",
        "btinternet.com",
        "comcast.net",
        "verizon.net",
        "att.net",
        "hotmail.co.uk",
        "yahoo.co.uk",
        "yahoo.fr",
        "yahoo.de",
        "hotmail.fr",
        "live.co.uk",
        "rocketmail.com",
        "tutanota.com",
        "mailinator.com",
        "freemail.example",
    ]
)
"""Providers whose domain says nothing about an employer."""

_ADDRESS = re.compile(r"^[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+$")
_BRACKETED = re.compile(r"<([^<>]*)>\s*$")


def normal_email(raw: str | None) -> str | None:
    """Return the address in one form, or None if it is none.

    Spaces, case, "mailto:", a display name before angle brackets and a "+tag" are dropped. Dots are kept: only one
    provider ignores them.
    """
    if raw is None:
        return None
    text = unicodedata.normalize("NFKC", raw).strip()
    bracketed = _BRACKETED.search(text)
    text = (bracketed[1] if bracketed else text).strip().lower().removeprefix("mailto:")
    if not _ADDRESS.match(text):
        return None
    local, domain = text.rsplit("@", 1)
    return f"{local.split('+', 1)[0] or local}@{domain.rstrip('.')}"


def normal_domain(raw: str | None) -> str | None:
    """Return a host name in one form: "https://www.Acme.example/x" is "acme.example"."""
    if raw is None:
        return None
    text = unicodedata.normalize("NFKC", raw).strip().lower()
    text = re.sub(r"^[a-z]+://", "", text).split("/")[0].split(":")[0].removeprefix("www.").rstrip(".")
    return text if "." in text and "@" not in text and " " not in text else None


def email_domain(email: str | None) -> str | None:
    """Return the domain of a normalised address."""
    return None if email is None else email.rsplit("@", 1)[1]


def hashed_email(email: str | None) -> str | None:
    """Return a digest that tells equal addresses without showing them."""
    return None if email is None else hashlib.sha256(email.encode()).hexdigest()[:32]


def match_deals(deals: pd.DataFrame, members: pd.DataFrame, match: Match) -> pd.DataFrame:
    """Find the member or the account of each deal.

    Parameters
    ----------
    deals : DataFrame
        With any of member_id, account_id, email (raw), domain (raw).
    members : DataFrame
        member_id, account_id, email (normalised), email_domain; one row per member.
    match : {"email", "domain", "id"}
        "email": identifiers, then e-mail, then the company's domain. "domain": identifiers, then the domain.
        "id": identifiers only.

    Returns
    -------
    DataFrame
        One row per deal, in order: deal_id, status ("matched", "ambiguous", "unmatched"), by, member_id, account_id,
        reason. No address appears in it.
    """
    if match not in ("email", "domain", "id"):
        raise InputError(f"match is {match!r}; use 'email', 'domain' or 'id'.")
    finder = _Finder(members, match)
    known = {c: deals[c].tolist() if c in deals else [None] * len(deals) for c in _KEYS}
    rows = [finder.find(*key) for key in zip(*(known[c] for c in _KEYS), strict=True)]
    result = pd.DataFrame(rows, columns=["status", "by", "member_id", "account_id", "reason"], dtype=object)
    deal_id = deals["deal_id"].tolist() if "deal_id" in deals else list(range(len(deals)))
    result.insert(0, "deal_id", pd.Series(deal_id, dtype=object))
    return result


_KEYS = ("member_id", "account_id", "email", "domain")
Found = tuple[str, str | None, Any, Any, str]


class _Finder:
    """Look-up tables from the members."""

    def __init__(self, members: pd.DataFrame, match: Match) -> None:
        self.match = match
        self.members = set(members["member_id"])
        self.accounts = set(members["account_id"].dropna())
        self.by_email = members.dropna(subset="email").groupby("email")["member_id"].agg(list).to_dict()
        company = members[members["email_domain"].notna() & members["account_id"].notna()]
        self.by_domain = company.groupby("email_domain")["account_id"].agg(lambda a: sorted(set(a))).to_dict()

    def find(self, member: Any, account: Any, email: Any, domain: Any) -> Found:
        if member is not None and not pd.isna(member):
            if member in self.members:
                return ("matched", "member_id", member, None, "")
            return ("unmatched", None, None, None, "no member has this member_id")
        if account is not None and not pd.isna(account):
            if account in self.accounts:
                return ("matched", "account_id", None, account, "")
            return ("unmatched", None, None, None, "no member belongs to this account_id")
        if self.match == "id":
            return ("unmatched", None, None, None, "the deal has no member_id or account_id")
        address = normal_email(None if email is None or pd.isna(email) else str(email))
        if self.match == "email" and address is not None:
            found = self.by_email.get(address, [])
            if len(found) == 1:
                return ("matched", "email", found[0], None, "")
            if found:
                return ("ambiguous", "email", None, None, f"{len(found)} members share this address")
        return self._by_domain(address, email, domain)

    def _by_domain(self, address: str | None, email: Any, domain: Any) -> Found:
        host = normal_domain(None if domain is None or pd.isna(domain) else str(domain)) or email_domain(
            address
        )
        if host is None:
            why = (
                "no usable address or domain"
                if email is None or pd.isna(email)
                else "the address is not readable"
            )
            return ("unmatched", None, None, None, why)
        if host in FREE_MAIL:
            return (
                "unmatched",
                None,
                None,
                None,
                "no member has this address, and a free-mail domain names no company",
            )
        accounts = self.by_domain.get(host, [])
        if len(accounts) == 1:
            return ("matched", "domain", None, accounts[0], "")
        if accounts:
            return ("ambiguous", "domain", None, None, f"{len(accounts)} accounts use this domain")
        return ("unmatched", None, None, None, "no member has this address or domain")
