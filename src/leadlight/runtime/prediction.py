"""What the runtime answers: a probability, what it means for sales, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from leadlight.runtime.showing import chance, facts, heading, table


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

    Examples
    --------
    >>> import leadlight as ll
    >>> reason = ll.Reason("asks questions", 0.7, "asked 3 questions in four weeks")
    >>> reason.to_dict()["text"]
    'asked 3 questions in four weeks'
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

    Examples
    --------
    >>> import leadlight as ll
    >>> community = ll.testing.small_community()
    >>> asks = ll.Behaviour(
    ...     "asks",
    ...     (ll.Count("question", window="90d"),),
    ...     reason="asked {question_count_90d:question|questions}",
    ... )
    >>> rows = ll.observe(community, every="30d", horizon="90d")
    >>> qualifier = ll.LeadQualifier(ll.Catalogue([asks]), decision=ll.Capacity(n=5)).fit(community, rows)
    >>> scorer = qualifier.scorer_
    >>> events = [{"occurred_at": f"2025-01-{day}", "action": "question"} for day in (10, 17, 24)]
    >>> prediction = scorer.predict(events, at="2025-01-31")
    >>> prediction.low < prediction.probability < prediction.high
    True
    >>> prediction.grade, prediction.cold_start, [reason.text for reason in prediction.reasons]
    ('B', False, ['asked 3 questions, typical is none'])
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

    def _repr_html_(self) -> str:
        return _prediction_html(self)


def _prediction_html(found: Prediction) -> str:
    missing = ", ".join(found.missing)
    told = {
        "grade": found.grade,
        "percentile": None if math.isnan(found.percentile) else f"{found.percentile:.0f}",
        "qualified": "yes" if found.qualified else "no",
        "no history": "yes" if found.cold_start else None,
        "not given": missing,
        "model": found.model_version,
    }
    reasons = [(r.behaviour, f"{r.contribution:+.2f}", r.text) for r in found.reasons]
    why = table(("behaviour", "log-odds", "reason"), reasons, numbers=("log-odds",)) if reasons else ""
    return heading(chance(found.probability, found.low, found.high) or "no probability") + facts(told) + why


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
