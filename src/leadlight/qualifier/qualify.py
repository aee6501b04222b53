"""The short path: observe, fit, evaluate, score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from leadlight.behaviours import CORPORATE_COMMUNITY, Catalogue
from leadlight.community import Community
from leadlight.decision import Capacity, Costs, Decision
from leadlight.errors import InputError, LeadlightError, warn
from leadlight.evaluation import Report, evaluate, fit_on_earlier
from leadlight.moments import Duration, Moment, moment_text, moment_us
from leadlight.observations import Observations, observe, population_at
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.scores import Scores
from leadlight.runtime.showing import paragraph

CHANCE: Final = 0.5
"""AUC of a list drawn at random."""


@dataclass(frozen=True)
class Leads:
    """What `qualify` returns.

    Attributes
    ----------
    top : Scores
        The call list, best first.
    scores : Scores
        Everybody.
    report : Report or None
        How well it tells, on later rows that it had not seen; None where there are too few deals to say.
    qualifier : LeadQualifier
        Fitted on all mature rows.
    observations : Observations
        What it was fitted on; without a won deal, those whom the points rank.
    tested : (LeadQualifier, Observations) or None
        The qualifier that `report` judges, fitted on the earlier rows, and the later rows.
    """

    top: Scores
    scores: Scores
    report: Report | None
    qualifier: LeadQualifier
    observations: Observations
    tested: tuple[LeadQualifier, Observations] | None = None

    def to_csv(self, path: str | Path) -> None:
        """Write the call list; see `Scores.to_csv`."""
        self.top.to_csv(path)

    def __str__(self) -> str:
        judged = (
            "Too few deals to measure how well this tells."
            if self.report is None
            else " ".join(filter(None, (self.report.sentence, _caution(self.report))))
        )
        return f"{self.top}\n\n{judged}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        few = "Too few deals to measure how well this tells."
        if self.report is None:
            return self.top._repr_html_() + paragraph(few)
        return self.top._repr_html_() + paragraph(_caution(self.report)) + self.report._repr_html_()


def _caution(report: Report) -> str:
    """Return what to say where later data do not show that the list is better than one drawn at random."""
    (low, high), auc = report.interval("auc"), report.metric("auc")
    if not low <= CHANCE:
        return ""
    return (
        f"On later data this ranking is not surely better than chance (AUC {auc:.2f}, {low:.2f} to {high:.2f}; chance is "
        f"{CHANCE}): look at the deals and the actions before you trust it."
    )


def qualify(
    community: Community,
    at: Moment | None = None,
    top: int = 40,
    *,
    catalogue: Catalogue = CORPORATE_COMMUNITY,
    decision: Decision | None = None,
    every: Duration = "30d",
    horizon: Duration = "90d",
    gap: Duration = "0d",
    active_within: Duration = "180d",
    enters_on: str | tuple[str, ...] | None = None,
    rounds: int = 200,
    costs: Costs | None = None,
) -> Leads:
    """Rank a community's members by the chance that a deal is won.

    Parameters
    ----------
    community : Community
    at : moment, optional
        The day of the call list; by default just after the last known fact.
    top : int
        Length of the call list.
    catalogue, decision, every, horizon, gap, active_within, enters_on
        As in `LeadQualifier` and `observe`.
    rounds : int
        Bootstrap draws of the evaluation.
    costs : Costs, optional
        To judge by profit, too; those of the decision where it is one.

    Returns
    -------
    Leads

    Raises
    ------
    InputError
        If there is no won deal to learn from, and the catalogue has no hand-set points or the decision needs a
        probability.

    Warns
    -----
    LeadlightWarning
        There is no won deal to learn from: the list goes by hand-set points, without probabilities. Or there are too few
        deals to evaluate.

    Examples
    --------
    >>> import leadlight as ll
    >>> community = ll.testing.small_community()
    >>> asks = ll.Behaviour(
    ...     "asks",
    ...     (ll.Count("question", window="90d"),),
    ...     reason="asked {question_count_90d:question|questions}",
    ... )
    >>> leads = ll.qualify(community, top=5, catalogue=ll.Catalogue([asks]), rounds=20)
    >>> len(leads.top), leads.top.texts()[0]
    (5, 'asked 3 questions, typical is none')
    >>> print(leads.report.sentence)
    Simulated: With 3.7 calls a week this reaches 10 of 30 buyers. (Calling the best 5% at each of 3 dates, 16 calls each.)
    """
    at_us = community.frozen_us + 1 if at is None else moment_us(at, name="at")
    frozen = min(community.frozen_us, at_us - 1)
    qualifier = LeadQualifier(catalogue, decision=decision or Capacity(n=top))
    # Windows that are all still open are no error here: points need none.
    seen = observe(
        community,
        every,
        horizon,
        gap,
        active_within=active_within,
        enters_on=enters_on,
        frozen_at=frozen,
        censored=True,
    )
    observations = seen.labelled()
    report, tested = None, None
    if (observations.frame["label"] == 1).any():
        if costs is None and isinstance(decision, Costs):
            costs = decision
        report, tested = _judge(qualifier, community, observations, rounds, costs)
    else:
        observations = population_at(community, at_us, seen.windows)
    if not len(observations):
        last = int(community.log.time.max()) if len(community.log.time) else None
        ends = "has no row that can be used" if last is None else f"ends on {moment_text(last)[:10]}"
        raise InputError(
            f"Nobody was active within {active_within} before {moment_text(at_us)[:10]}, and the log {ends}: there is "
            "nobody to rank. Give at= or Community(frozen_at=...) a date within the log; a deal with a wrong date may have moved it."
        )
    qualifier.fit(community, observations).describe(report=report)
    scores = qualifier.score(community, at_us)
    return Leads(scores.top(top), scores, report, qualifier, observations, tested)


def _judge(
    qualifier: LeadQualifier, community: Community, rows: Observations, rounds: int, costs: Costs | None
) -> tuple[Report | None, tuple[LeadQualifier, Observations] | None]:
    """Evaluate on the later part of the rows; nothing, with a warning, where that is impossible."""
    cutoffs = np.unique(rows.cutoff_us)
    try:
        if len(cutoffs) < 4:
            raise InputError(f"{len(cutoffs)} cutoffs cannot be split in time.")
        unfitted = LeadQualifier(**qualifier.get_params(deep=False))
        earlier, later = fit_on_earlier(unfitted, community, rows)
        return evaluate(earlier, community, later, rounds=rounds, costs=costs), (earlier, later)
    except LeadlightError as error:
        warn(f"The model is not evaluated: {error}")
        return None, None
