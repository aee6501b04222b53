"""The command line: thin verbs over the library."""

from leadlight.cli.main import main

__all__ = ["main"]
