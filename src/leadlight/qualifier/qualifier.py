"""LeadQualifier: from a community to who should be approached, and why."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from leadlight._version import __version__
from leadlight.behaviours import CORPORATE_COMMUNITY, Catalogue
from leadlight.community import Community
from leadlight.decision import Capacity, Decision, decision_from
from leadlight.errors import BundleError, InputError, NotFittedError
from leadlight.estimators import LeadClassifier
from leadlight.features import build_features
from leadlight.kernels.linear import sigmoid
from leadlight.moments import DAY_US, Moment
from leadlight.observations import Observations, Windows, population_at
from leadlight.qualifier.scores import Scores
from leadlight.qualifier.selection import Selection, choose, contacted, estimand, training_weight
from leadlight.runtime import Scorer, load
from leadlight.runtime.model import Model

if TYPE_CHECKING:
    import shap

Values = NDArray[np.float64]

QUANTILES = 1_001
"""How many quantiles of the out-of-fold scores a bundle keeps."""


class LeadQualifier(BaseEstimator):
    """Learn from a community's log and its deals whom sales should approach.

    Parameters
    ----------
    catalogue : Catalogue, default=CORPORATE_COMMUNITY
        The behaviours to measure.
    classifier : LeadClassifier, optional
        Cloned before it is fitted.
    decision : Capacity, Costs or MissRate, optional
        From probability to `qualified`; by default the best 5 %.
    selection : {"auto", "none", "discount", "contacted-only"}, default="auto"
        What a member means whom nobody approached and who did not buy: a no ("none"), a tenth of one ("discount"), or
        nothing ("contacted-only"). "auto" discounts where a contacts table says who was approached.

    Attributes
    ----------
    plan_ : Plan
        Compiled before the latest training cutoff.
    classifier_ : LeadClassifier
    scorer_ : leadlight.runtime.Scorer
        The arithmetic that serves; everything here delegates to it.
    threshold_ : float
        Probability from which a member is qualified.
    estimand_ : str
        What the probability is of, in one sentence.
    trained_until_us_ : int
        End of the last training window, UTC microseconds; test cutoffs lie at or after it.

    Examples
    --------
    >>> import leadlight as ll
    >>> community, _ = ll.simulate_community(members=800, weeks=60, seed=5)
    >>> train = ll.observe(community, every="30d", horizon="90d")
    >>> qualifier = ll.LeadQualifier(decision=ll.Capacity(n=5)).fit(community, train)  # doctest: +SKIP
    >>> qualifier.score(community, at="2025-02-20").top(5)  # doctest: +SKIP
    """

    def __init__(
        self,
        catalogue: Catalogue = CORPORATE_COMMUNITY,
        classifier: LeadClassifier | None = None,
        decision: Decision | None = None,
        *,
        selection: Selection = "auto",
    ) -> None:
        self.catalogue = catalogue
        self.classifier = classifier
        self.decision = decision
        self.selection = selection

    def fit(self, community: Community, observations: Observations) -> Self:
        """Compile the catalogue, build features, fit the classifier and set the threshold.

        Parameters
        ----------
        community : Community
        observations : Observations
            Training rows; rows without a label are left out.

        Raises
        ------
        InputError
            If all labels are alike, or the decision asks for more buyers than there are.
        """
        rows = observations.labelled()
        if not len(rows):
            raise InputError("No training row has a label: every window was still open. Use earlier cutoffs.")
        decision = self.decision or Capacity()
        held: Observations | None = None
        if decision.needs_holdout:
            rows, held = _hold_back(rows)
        last = int(rows.cutoff_us.max())
        self.plan_ = self.catalogue.compile(community, last)
        self.windows_ = rows.windows
        reach = rows.windows.gap_us + rows.windows.horizon_us
        self.trained_until_us_ = int((rows if held is None else held).cutoff_us.max()) + reach
        X = build_features(community, rows, self.plan_)
        y = rows.label
        self.selection_ = choose(self.selection, rows)
        weight = training_weight(self.selection_, rows)
        asked = contacted(rows)
        calibrate_on = (
            asked if self.selection_ != "none" and rows.frame["label"].to_numpy()[asked].any() else None
        )
        base = self.classifier if self.classifier is not None else LeadClassifier()
        self.classifier_: LeadClassifier = clone(base)
        self.classifier_.fit(
            X, y, sample_weight=weight, groups=rows.groups, times=rows.cutoff_us, calibrate_on=calibrate_on
        )
        self.training_ = (X, y.to_numpy(float), weight, rows.groups)
        self.estimand_ = estimand(rows.windows.horizon_us / DAY_US, approached=calibrate_on is not None)
        latest = self._latest_scores(rows, X)
        buyers = None if held is None else self._held_buyers(community, held)
        self.threshold_ = decision.threshold(latest, buyers)
        self.decision_ = decision
        self.scorer_ = Scorer(self._model(latest), self.plan_, self._info(community, rows))
        return self

    def _latest_scores(self, rows: Observations, X: pd.DataFrame) -> Values:
        """Out-of-fold probabilities at the latest training cutoff; in-sample ones where there are no folds."""
        log_odds = self.classifier_.oof_log_odds_
        latest = rows.cutoff_us == rows.cutoff_us.max()
        if np.isnan(log_odds[latest]).all():
            return np.sort(self.classifier_.predict_proba(X.loc[latest])[:, 1])
        return np.sort(sigmoid(log_odds[latest & np.isfinite(log_odds)]))

    def _held_buyers(self, community: Community, held: Observations) -> Values:
        """Scores of the held-back buyers: one row per account, drawn blind."""
        positive = held.take((held.frame["label"] == 1).to_numpy())
        if not len(positive):
            return np.empty(0)
        order = np.random.default_rng(0).permutation(len(positive))
        _, first = np.unique(positive.groups[order].astype(str), return_index=True)
        chosen = positive.take(order[first])
        return self.classifier_.predict_proba(build_features(community, chosen, self.plan_))[:, 1]

    def _model(self, latest: Values) -> Model:
        fitted = self.classifier_.model_
        at = np.linspace(0, 1, min(QUANTILES, max(len(latest), 1)))
        quantiles = np.quantile(latest, at, method="inverted_cdf") if len(latest) else np.empty(0)
        return Model(
            columns=self.plan_.column_names,
            trees=fitted.trees,
            linear=fitted.linear,
            tree_weight=fitted.tree_weight,
            linear_weight=fitted.linear_weight,
            calibration=fitted.calibration,
            quantiles=np.sort(quantiles),
            threshold=self.threshold_,
        )

    def _info(self, community: Community, rows: Observations) -> dict[str, Any]:
        windows = rows.windows
        return {
            "library_version": __version__,
            "data_fingerprint": community.fingerprint,
            "decision": {
                "kind": self.decision_.kind,
                "parameters": self.decision_.to_dict(),
                "threshold": self.threshold_,
                "text": self.decision_.describe(self.threshold_),
            },
            "estimand": self.estimand_,
            "selection": self.selection_,
            "simulated": community.simulated,
            "windows": {
                "horizon_us": windows.horizon_us,
                "gap_us": windows.gap_us,
                "active_within_us": windows.active_within_us,
                "enters_on": list(windows.enters_on),
                "trained_until_us": self.trained_until_us_,
            },
            "metrics": {
                "training_rows": len(rows),
                "training_positives": int((rows.frame["label"] == 1).sum()),
                "positive_groups": int(self.classifier_.n_positive_groups_),
                "blend_weight": float(self.classifier_.blend_weight_),
            },
        }

    @classmethod
    def load(cls, path: str | Path) -> LeadQualifier:
        """Return a qualifier that scores with a saved bundle; it can score, explain and save, not be evaluated."""
        scorer = load(path)
        info = scorer.info
        windows = info["windows"]
        lacking = {"horizon_us", "gap_us", "active_within_us", "enters_on", "trained_until_us"} - set(
            windows or {}
        )
        if lacking or "kind" not in (info["decision"] or {}):
            raise BundleError(
                f"{path} was not saved by a LeadQualifier: its population is not known. Use leadlight.load."
            )
        qualifier = cls()
        qualifier.scorer_ = scorer
        qualifier.plan_ = scorer.plan
        qualifier.windows_ = Windows(
            horizon_us=windows["horizon_us"],
            gap_us=windows["gap_us"],
            active_within_us=windows["active_within_us"],
            enters_on=tuple(windows["enters_on"]),
        )
        qualifier.trained_until_us_ = windows["trained_until_us"]
        qualifier.decision_ = decision_from(info["decision"]["kind"], info["decision"]["parameters"])
        qualifier.decision = qualifier.decision_
        qualifier.threshold_ = scorer.model.threshold
        qualifier.estimand_ = info["estimand"]
        return qualifier

    def _check_fitted(self) -> None:
        if not hasattr(self, "scorer_"):
            raise NotFittedError(
                "This LeadQualifier is not fitted yet; call fit(community, observations) first."
            )

    def predict_proba(self, X: Any) -> Values:
        """Return probabilities of feature rows aligned by name, shape (n, 2)."""
        self._check_fitted()
        return self.scorer_.predict_proba(X)

    def score(self, community: Community, at: Moment, *, reasons: int = 3) -> Scores:
        """Score everybody who is in the population at a time.

        Parameters
        ----------
        community : Community
        at : moment
            The cutoff: nothing that was not known before it is used.
        reasons : int
            Reasons per member.

        Returns
        -------
        Scores
            Employees and members who refused are not in it; customers and members with open deals are flagged.
        """
        self._check_fitted()
        rows = population_at(community, at, self.windows_)
        X = build_features(community, rows, self.plan_)
        return Scores.of(self.scorer_, community, rows, X, self.decision_, reasons)

    def explain(self, community: Community, at: Moment) -> shap.Explanation:
        """Explain every score: contributions in calibrated log-odds that sum with the base to the score.

        Returns
        -------
        shap.Explanation
            values and data of shape (members, columns), base_values of shape (members,), in the row order of `score`.
        """
        self._check_fitted()
        with warnings.catch_warnings():
            # Its import makes colour maps in a way that the newest matplotlib frowns upon.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            import shap

        rows = population_at(community, at, self.windows_)
        X = build_features(community, rows, self.plan_).to_numpy(float)
        values, base = self.scorer_.model.contributions(X)
        return shap.Explanation(
            values=values,
            base_values=np.full(len(X), base),
            data=X,
            feature_names=list(self.plan_.column_names),
        )

    def save(self, path: str | Path) -> None:
        """Write the bundle: JSON and NumPy arrays, nothing of a member; replaces an old one whole or not at all."""
        self._check_fitted()
        self.scorer_.save(path)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        fitted = (
            ""
            if not hasattr(self, "scorer_")
            else f", fitted on {self.scorer_.info['metrics']['training_rows']} rows"
        )
        # A bundle keeps the plan, not the name of the catalogue that it came from.
        loaded = hasattr(self, "scorer_") and not hasattr(self, "classifier_")
        catalogue = f"version {self.scorer_.version}" if loaded else repr(self.catalogue.name)
        return f"LeadQualifier({catalogue}, {self.decision or Capacity()}{fitted})"


def _hold_back(rows: Observations) -> tuple[Observations, Observations]:
    """Split off the latest mature window: rows of the last cutoff, and training rows mature before it."""
    cutoffs = rows.cutoff_us
    last = int(cutoffs.max())
    reach = rows.windows.gap_us + rows.windows.horizon_us
    earlier = rows.take(cutoffs + reach <= last)
    if not len(earlier):
        raise InputError(
            "MissRate holds back the latest window, and no training window ends before it starts."
        )
    return earlier, rows.take(cutoffs == last)
