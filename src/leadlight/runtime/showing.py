"""How objects show themselves in a notebook: small HTML of facts and tables, every text escaped.

No colour and no size of text is set: what is drawn has the colour of the reader's text, on light and on dark, and nothing is fetched.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_CELL: Final = "vertical-align:top;padding:0.2em 0.7em"
LEFT: Final = f' style="text-align:left;{_CELL}"'
NAME: Final = f' style="text-align:left;white-space:nowrap;{_CELL}"'
RIGHT: Final = f' style="text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;{_CELL}"'
"""A name, or a number with its interval, stays on one line; the head of a column of numbers need not."""

RIGHT_HEAD: Final = f' style="text-align:right;{_CELL}"'


def escaped(value: Any) -> str:
    """Return text that HTML shows as it is; numbers with thousands separated, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return html.escape(str(value))


def heading(title: str, note: str = "") -> str:
    """Return a title in bold, and what is to be said beside it."""
    return f"<p><strong>{escaped(title)}</strong>{f' {escaped(note)}' if note else ''}</p>"


def paragraph(text: str) -> str:
    """Return a paragraph, its lines kept; nothing of no text."""
    return f"<p>{escaped(text).replace(chr(10), '<br>')}</p>" if text else ""


def facts(pairs: Mapping[str, Any]) -> str:
    """Return a table of names and values; what is None or empty is left out."""
    rows = [
        f"<tr><th{NAME}>{escaped(name)}</th><td{LEFT}>{escaped(value)}</td></tr>"
        for name, value in pairs.items()
        if value is not None and value != ""
    ]
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = (), strong: int = -1
) -> str:
    """Return a table.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Cells in their order.
    numbers : sequence of str
        Columns that are set to the right.
    strong : int
        The row in bold, from 0; none by default.
    """
    sides = [RIGHT if name in numbers else LEFT for name in head]
    top = "".join(f"<th{RIGHT_HEAD if name in numbers else LEFT}>{escaped(name)}</th>" for name in head)
    body = []
    for place, row in enumerate(rows):
        cells = [escaped(cell) for cell in row]
        if place == strong:
            cells = [f"<strong>{cell}</strong>" for cell in cells]
        body.append("<tr>" + "".join(f"<td{s}>{c}</td>" for c, s in zip(cells, sides, strict=True)) + "</tr>")
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def folded(title: str, content: str) -> str:
    """Return HTML that opens with a click; nothing of nothing."""
    return f"<details><summary>{escaped(title)}</summary>{content}</details>" if content else ""


def chance(probability: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """Return "12.3% (8.0% to 17.9%)", without the interval where it is not known; "" of NaN."""
    if probability != probability:
        return ""
    told = f"{probability:.1%}"
    return told if low != low or high != high else f"{told} ({low:.1%} to {high:.1%})"
