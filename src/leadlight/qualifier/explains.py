"""What a qualifier says of its scores: contributions, evidence, a points table, what would bring a member over the line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from leadlight.community import Community
from leadlight.decision import Decision
from leadlight.errors import InputError
from leadlight.estimators.points_table import PointsTable, learn_points
from leadlight.explain.evidence import evidence
from leadlight.explain.over_the_line import OverTheLine, over_the_line
from leadlight.features import build_features
from leadlight.moments import Duration, Moment
from leadlight.observations import Observations, Windows, population_at
from leadlight.plan import Plan
from leadlight.qualifier.points import PointsOnly
from leadlight.qualifier.scores import Scores
from leadlight.runtime import Scorer

if TYPE_CHECKING:
    from leadlight.qualifier.explanation import LeadExplanation


class Explains(ABC):
    """The part of `leadlight.LeadQualifier` that explains."""

    plan_: Plan
    scorer_: Scorer
    windows_: Windows
    decision_: Decision
    training_: Any

    @abstractmethod
    def _check_fitted(self) -> None:
        """Raise `NotFittedError` unless it is fitted."""

    @abstractmethod
    def score(self, community: Community, at: Moment, *, reasons: int = 3) -> Scores:
        """Score everybody who is in the population at a time."""

    def explain(self, community: Community, at: Moment) -> LeadExplanation:
        """Explain every score: contributions in calibrated log-odds (or points) that sum with the base to the score.

        Returns
        -------
        LeadExplanation
            A `shap.Explanation` with values and data of shape (members, columns), base_values of shape (members,), in the
            row order of `score`. `by_behaviour()` sums it to behaviours, `probability_points()` divides the probability.
        """
        from leadlight.qualifier.explanation import LeadExplanation

        self._check_fitted()
        rows = population_at(community, at, self.windows_)
        X = build_features(community, rows, self.plan_)
        unit = "points" if isinstance(self.scorer_, PointsOnly) else "log-odds"
        return LeadExplanation.of(self.plan_, X, *self.scorer_.explain_rows(X), unit)

    def evidence(
        self,
        community: Community,
        at: Moment,
        *,
        members: Sequence[Any] | None = None,
        reasons: int = 3,
        most: int = 20,
    ) -> pd.DataFrame:
        """Return the rows of the log behind each reason, as of the cutoff.

        Parameters
        ----------
        community : Community
        at : moment
            The cutoff: no row that was not known before it is shown.
        members : sequence of member ids, optional
            In this order; without it, who is qualified (`score(...).top()`).
        reasons : int
            Reasons per member.
        most : int
            Rows shown of a reason; the newest, and some spread over the older ones.

        Returns
        -------
        DataFrame
            See `leadlight.explain.evidence`, which takes scores that you have already.

        Raises
        ------
        InputError
            If a member is unknown or not in the population at that time.
        """
        if members is None:
            scores = self.score(community, at, reasons=reasons).top()
        else:
            rows, X = self._rows_of(community, at, members)
            scores = Scores.of(self.scorer_, community, rows, X, self.decision_, reasons)
        return evidence(community, self.plan_, scores, most=most)

    def points_table(self, *, most: int = 12) -> PointsTable:
        """Learn a few simple rules with whole points from the training rows, to paste into a CRM.

        `leadlight.evaluation.compare_points` measures what it loses against this model.

        Parameters
        ----------
        most : int
            Rules.

        Returns
        -------
        PointsTable
            `print` it; `to_pandas()` shows the hand-set points beside it, `to_csv(path)` writes it.

        Raises
        ------
        InputError
            If the qualifier was loaded from a bundle, which keeps no training rows, or no deal was won.
        """
        self._check_fitted()
        if not hasattr(self, "training_"):
            raise InputError("A bundle keeps no training rows to learn points from; fit the qualifier again.")
        X, y, weight, _ = self.training_
        return learn_points(self.plan_, X, y, weight, most=most)

    def over_the_line(
        self, community: Community, at: Moment, member: Any, *, within: Duration = "30d"
    ) -> OverTheLine:
        """Say what a member would have to do next to be qualified, within what members like it do.

        A ranking, not a promise: see `leadlight.explain.over_the_line`.

        Parameters
        ----------
        community : Community
        at : moment
            The cutoff; what is tried happens after it.
        member : member id
        within : duration
            How long the member has.

        Returns
        -------
        OverTheLine

        Raises
        ------
        InputError
            If the member is not in the population, is over the line already, or there is no line: nobody is qualified, or
            no deal was won.
        """
        self._check_fitted()
        rows = population_at(community, at, self.windows_)
        return over_the_line(self.scorer_, community, rows, member, within=within)

    def _rows_of(
        self, community: Community, at: Moment, members: Sequence[Any]
    ) -> tuple[Observations, pd.DataFrame]:
        """Return the rows of some members of the population, in their order, and their features."""
        self._check_fitted()
        rows = population_at(community, at, self.windows_)
        place = pd.Index(rows.frame["member_id"]).get_indexer(pd.Index(list(members)))
        lacking = [m for m, i in zip(members, place, strict=True) if i < 0]
        if lacking:
            raise InputError(
                f"{len(lacking)} members are not in the population at that time; the first: {lacking[:3]}. They were not "
                "active in the months before, work for the host, or have not consented."
            )
        rows = rows.take(place)
        return rows, build_features(community, rows, self.plan_)
