"""Readers that turn raw exports into a `Community`, one module for each kind of export."""

from leadlight.sources.segment import read_segment
from leadlight.sources.sql import Table, read_sql
from leadlight.sources.stackexchange import read_stackexchange

__all__ = ["Table", "read_segment", "read_sql", "read_stackexchange"]
