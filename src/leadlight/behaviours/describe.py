"""A catalogue in words: what each behaviour measures, as rows, Markdown or HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, Final, Protocol

from leadlight.behaviours.selection import Feature, actions_of, windows_of
from leadlight.moments import window_name
from leadlight.plan import HandSetPoints
from leadlight.runtime.showing import folded, heading, table

COLUMNS: Final = ("behaviour", "measures", "says", "points")

_WORDS: Final = {
    "Count": "count of",
    "Sum": "seconds of",
    "Recency": "days since",
    "FirstTime": "first",
    "Trend": "trend of",
    "Surprise": "surprise in",
    "Share": "share of",
    "Completeness": "share of the profile's fields that are filled",
    "Tenure": "days since joining",
}
_VISITS: Final = {
    "count": "visits",
    "per_month": "visits per month",
    "last_visit": "seconds of the last visit",
}


class Described(Protocol):
    """What is asked of a behaviour."""

    @property
    def name(self) -> str:
        """In the words of a salesperson."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """From the algebra."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentence templates."""

    @property
    def points(self) -> HandSetPoints | None:
        """Set by hand."""


def rows(behaviours: Iterable[Described]) -> list[dict[str, str]]:
    """Return one row of text for each behaviour, with the keys `COLUMNS`."""
    return [
        {
            "behaviour": b.name,
            "measures": "; ".join(in_words(feature) for feature in b.features),
            "says": "; ".join(b.reasons),
            "points": "" if b.points is None else _points(b.points),
        }
        for b in behaviours
    ]


def markdown(rows: list[dict[str, str]], columns: tuple[str, ...] = ("behaviour", "measures")) -> str:
    """Return rows as a Markdown table."""
    lines = [columns, tuple("---" for _ in columns)]
    lines += [tuple(row[c].replace("|", "\\|") for c in columns) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html(name: str, rows: list[dict[str, str]]) -> str:
    """Return a catalogue as an HTML table; all text is escaped."""
    count = f"{len(rows)} behaviour{'' if len(rows) == 1 else 's'}"
    measured = table(COLUMNS[:2], [[row[c] for c in COLUMNS[:2]] for row in rows])
    said = table(("behaviour", "says"), [[row[c] for c in ("behaviour", "says")] for row in rows])
    earned = table(
        ("behaviour", "points"), [(row["behaviour"], row["points"]) for row in rows if row["points"]]
    )
    points = folded("Hand-set points", earned if any(row["points"] for row in rows) else "")
    return (
        heading(f"Catalogue {name!r}", count)
        + measured
        + folded("What is said on a call list", said)
        + points
    )


def in_words(feature: Feature) -> str:
    """Return one feature in words; one that is not of the algebra as its representation."""
    kind = type(feature).__name__
    found: dict[str, Any] = vars(feature) if is_dataclass(feature) else {}
    window = _windows(found["window"]) if "window" in found else ""
    if kind == "Peers":
        return f"colleagues: {in_words(found['count'])}"
    if kind == "Ratio":
        above, below = found["numerator"], found["denominator"]
        return f"{_what(above)} per {_what(below)}{_windows(above.window)}"
    if kind == "Visits":
        return _VISITS[found["measure"]] + (window if found["measure"] == "count" else "")
    if kind in ("Distinct", "Entropy"):
        noun = f"{(found['total'] or found['of']).replace('_', ' ')}s"
        action = "" if found["action"] is None else f" of {found['action']}"
        return f"{'number of different' if kind == 'Distinct' else 'entropy over'} {noun}{action}{window}"
    if kind not in _WORDS:
        return repr(feature)
    return _WORDS[kind] + (f" {_what(feature)}" if "action" in found else "") + window


def _what(feature: Any) -> str:
    verbs = [a for a in actions_of(feature.action) if a is not None]
    text = " or ".join(verbs) or "all activity"
    if getattr(feature, "side", "given") == "received":
        text += " received"
    if getattr(feature, "same_domain", False):
        text += " within the own e-mail domain"
    by = getattr(feature, "by", None)
    if by is None:
        return text
    if getattr(feature, "total", None):
        chosen = f" ({', '.join(feature.only)})" if feature.only else ""
        return f"{text} with any {feature.total.replace('_', ' ')}{chosen}"
    chosen = f" ({', '.join(feature.only)})" if feature.only else ""
    return f"{text} by {by.replace('_', ' ')}{chosen}"


def _windows(window: Any) -> str:
    return f" ({', '.join(window_name(w) for w in windows_of(window))})"


def _points(points: HandSetPoints) -> str:
    units = ", ".join(f"{weight:g} x {column}" for column, weight in points.units)
    return f"{points.each:g} for each of {units}; at most {points.cap:g} units"
