"""Readers that turn raw exports into a `Community`, one module for each kind of export."""

from leadlight.sources.crm import CrmTables, save_refused
from leadlight.sources.hubspot import read_hubspot
from leadlight.sources.salesforce import read_salesforce
from leadlight.sources.segment import read_segment
from leadlight.sources.sql import Table, read_sql
from leadlight.sources.stackexchange import read_stackexchange

__all__ = [
    "CrmTables",
    "Table",
    "read_hubspot",
    "read_salesforce",
    "read_segment",
    "read_sql",
    "read_stackexchange",
    "save_refused",
]
