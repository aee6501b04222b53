"""What the runtime answers: a probability, what it means for sales, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reason:
    """One behaviour that moved the score.

    Attributes
    ----------
    behaviour : str
        Its name in the catalogue.
    contribution : float
        In calibrated log-odds; positive speaks for an approach.
    text : str
        A sentence for a call list. Entries of vocabularies stand in it as they are: escape it before it enters HTML.
    columns : tuple of str
        The plan columns that the sentence speaks of; empty where it only names the behaviour. Not compared: two reasons
        that say the same are equal.
    """

    behaviour: str
    contribution: float
    text: str
    columns: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {"behaviour": self.behaviour, "contribution": _number(self.contribution), "text": self.text}


@dataclass(frozen=True)
class Prediction:
    """The answer for one member.

    Attributes
    ----------
    probability : float
        Calibrated chance of a won deal within the model's horizon, 0 to 1.
    low, high : float
        95 % interval of the probability from the uncertainty of the calibration; NaN where that is unknown.
    grade : {"A", "B", "C", "D", ""}
        Top 5 %, up to 20 %, up to 50 %, the rest; empty where the model holds no scores to compare with.
    qualified : bool
        Whether the model's decision says to approach the member.
    reasons : tuple of Reason
        The heaviest first.
    cold_start : bool
        The member had done nothing before the cutoff.
    model_version : str
        First 12 digits of the bundle's digest.
    percentile : float
        Share of the scores at the latest training cutoff that are not higher, 0 to 100; NaN where there are none.
    missing : tuple of str
        Facts that features use and that were not given; these features were missing, not zero.
    """

    probability: float
    low: float
    high: float
    grade: str
    qualified: bool
    reasons: tuple[Reason, ...]
    cold_start: bool
    model_version: str
    percentile: float = math.nan
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; NaN becomes None."""
        return {
            "probability": _number(self.probability),
            "low": _number(self.low),
            "high": _number(self.high),
            "percentile": _number(self.percentile),
            "grade": str(self.grade),
            "qualified": bool(self.qualified),
            "cold_start": bool(self.cold_start),
            "reasons": [reason.to_dict() for reason in self.reasons],
            "missing": list(self.missing),
            "model_version": self.model_version,
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
