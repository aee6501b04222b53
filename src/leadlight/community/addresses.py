"""Stand-ins for e-mail addresses: equal where the addresses are, of the same domain, and nobody's."""

from __future__ import annotations

import pyarrow as pa

from leadlight.community.matching import email_domain, hashed_email, normal_email

UNREADABLE = "unreadable"
"""Stands for text that is no address; that there was something is why a deal did not match."""


def stand_in(raw: str | None) -> str | None:
    """Return "digest@domain" of an address in its one form; deals and members match by it as by the address itself."""
    if raw is None:
        return None
    address = normal_email(raw)
    return UNREADABLE if address is None else f"{hashed_email(address)}@{email_domain(address)}"


def digest_of(address: str | None) -> str | None:
    """Return the digest of a stand-in."""
    return None if address is None else address.split("@", 1)[0]


def with_stand_ins(table: pa.Table) -> pa.Table:
    """Return the table with stand-ins for the addresses of its column email, if it has one."""
    if "email" not in table.column_names:
        return table
    found = pa.array([stand_in(raw) for raw in table["email"].to_pylist()], pa.string())
    return table.set_column(table.column_names.index("email"), "email", found)
