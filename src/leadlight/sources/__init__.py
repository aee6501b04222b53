"""Readers that turn raw exports into a `Community`, one module for each kind of export."""
