"""The verb `card`: apart from the others, for it needs the runtime alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from leadlight.runtime import load


def card(arguments: argparse.Namespace) -> int:
    """Print or write the model card of a bundle."""
    text = load(arguments.model).card()
    if arguments.out:
        Path(arguments.out).write_text(text, encoding="utf-8")
        print(f"Wrote {arguments.out}")
    else:
        print(text, end="")
    return 0
