"""LeadQualifier: from a community to who should be approached, and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from leadlight.behaviours import CORPORATE_COMMUNITY, Catalogue
from leadlight.community import Community
from leadlight.decision import Capacity, Costs, Decision, MissRate, Price, Priced, decision_from
from leadlight.errors import BundleError, InputError, NotFittedError, warn
from leadlight.estimators import LeadClassifier, PointsScorer
from leadlight.features import build_features
from leadlight.kernels.linear import sigmoid
from leadlight.moments import DAY_US, Moment
from leadlight.observations import Observations, Windows, population_at
from leadlight.observations.windows import NOT_LABELLED
from leadlight.plan import Plan
from leadlight.qualifier.colleagues import with_colleagues
from leadlight.qualifier.comparison import select
from leadlight.qualifier.directions import column_signs
from leadlight.qualifier.explains import Explains
from leadlight.qualifier.holdout import drawn_buyers, hold_back
from leadlight.qualifier.info import model_info
from leadlight.qualifier.no_deal import why_no_deal
from leadlight.qualifier.open_windows import with_open_windows
from leadlight.qualifier.points import ESTIMAND, PointsOnly
from leadlight.qualifier.profile import profile_of, profiled_rows, summary_of
from leadlight.qualifier.scores import Scores
from leadlight.qualifier.selection import Selection, calibrated_on, training_weight
from leadlight.qualifier.showing import qualifier_html
from leadlight.qualifier.sureness import widened
from leadlight.qualifier.topics import telling_tags
from leadlight.qualifier.uncounted import uncounted
from leadlight.runtime import Scorer, load
from leadlight.runtime.model import Model

if TYPE_CHECKING:
    from leadlight.evaluation import Report

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LOG = logging.getLogger(__name__)

QUANTILES = 1_001
"""How many quantiles of the out-of-fold scores a bundle keeps."""


class LeadQualifier(Explains, BaseEstimator):
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
        nothing ("contacted-only"). "auto" is "none" without a contacts table. With one it discounts unless a quick fit shows
        that to be worse by more than a standard error, by log loss on members approached at random, or where fewer than 20
        of those bought, on all who were approached; where fewer than 20 of these bought it discounts unmeasured.
    monotone : mapping of str to -1, 0 or 1, optional
        Behaviour (or plan column) -> 1 where more of it may never lower the score, -1 where it may never raise it:
        `{"asks questions": 1}`. It holds for counts, seconds, visits, colleagues and, turned round, for recencies;
        trend, surprise, first time, ratio, share and entropy stay free unless named by column. See
        `leadlight.qualifier.directions`. Of the classifier's own `monotone` the columns named there stay as they are.
    by_account : bool, default=True
        A won deal teaches of everybody of its account, who weigh 1 together, and not only of whom the CRM names.
        Calibration, prices and evaluation keep to whom it names.
    learn_topics : bool, default=True
        Measure the tags that won accounts came to more than others do as buying tags, where none are marked and at least 20
        accounts won.

    Attributes
    ----------
    topics_ : tuple of str
        The tags that were learned to tell buyers, the most telling first.
    plan_ : Plan
        Compiled before the latest training cutoff.
    classifier_ : LeadClassifier
    scorer_ : leadlight.runtime.Scorer
        The arithmetic that serves; everything here delegates to it. Without a deal to learn from, hand-set points
        (`leadlight.qualifier.points.PointsOnly`), which score, rank and explain, and cannot be saved.
    calibration_ : leadlight.runtime.Calibration
        The classifier's; below 20 buyers with the prior uncertainty of its slope, see `qualifier.sureness`.
    threshold_ : float
        Probability (or points) from which a member is qualified.
    decision_report_ : leadlight.decision.Price
        What the decision costs: whom it flags, whom it misses, how many calls a won account takes. On out-of-fold rows;
        for `MissRate` on the window held back. `print` it; the bundle keeps it.
    estimand_ : str
        What the probability is of, in one sentence.
    selection_ : {"none", "discount", "contacted-only"}
        The selection that was fitted.
    selection_report_ : dict
        What "auto" compared, as plain data: `asked`, `chosen`, `why` in one sentence, and `slice` ("explored",
        "contacted", or None where nothing was compared), with it its `rows` and `buyers`, `log_loss` of both,
        `difference` (discount less none) and `standard_error`; with contacts `calibration`, how approached rows were
        weighed there. The bundle keeps it.
    trained_until_us_ : int
        End of the last training window, UTC microseconds; test cutoffs lie at or after it.

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
    >>> qualifier
    LeadQualifier('custom', Capacity(n=5), fitted on 3060 rows)
    >>> qualifier.score(community, at="2024-12-31").top(1).texts()
    ['asked 3 questions, typical is none']
    """

    def __init__(
        self,
        catalogue: Catalogue = CORPORATE_COMMUNITY,
        classifier: LeadClassifier | None = None,
        decision: Decision | None = None,
        *,
        selection: Selection = "auto",
        monotone: Mapping[str, int] | None = None,
        by_account: bool = True,
        learn_topics: bool = True,
    ) -> None:
        self.catalogue = catalogue
        self.classifier = classifier
        self.decision = decision
        self.selection = selection
        self.monotone = monotone
        self.by_account = by_account
        self.learn_topics = learn_topics

    def fit(self, community: Community, observations: Observations) -> Self:
        """Compile the catalogue, build features, fit the classifier and set the threshold.

        Parameters
        ----------
        community : Community
        observations : Observations
            Training rows. Windows that are still open (`observe(..., censored=True)`) teach what they have seen: a deal
            that was won is a 1, none so far is a 0 to the extent that deals would have come by now (see
            `PersonPeriods.teaches`). Calibration, thresholds and prices rest on whole windows alone, and so does all of
            the fit where the decision holds back the latest window.

        Raises
        ------
        InputError
            If all labels are positive, if none is and the catalogue has no hand-set points to rank by, or if the decision
            asks for more buyers than there are.

        Warns
        -----
        LeadlightWarning
            No row is positive: members are ranked by hand-set points and get no probability. Or the log calls its actions
            otherwise than the catalogue.
        """
        decision = self.decision or Capacity()
        whole = observations.labelled()
        if not (whole.frame["label"] == 1).any():
            return self._fit_points(community, observations, decision)
        held: Observations | None = None
        if decision.needs_holdout:
            whole, held = hold_back(whole)
            buyers = drawn_buyers(held)
            if isinstance(decision, MissRate):
                decision.check_buyers(len(buyers))
        last = int(whole.cutoff_us.max())
        rows, label, share, mature = with_open_windows(observations if held is None else whole)
        taught, account_share, colleague = label, rows.weight, np.zeros(len(rows), bool)
        if self.by_account:
            taught, account_share, colleague = with_colleagues(rows, label)
            share = np.where(taught == 1, 1.0, share)
        self.plan_ = self._catalogue(community, rows, taught).compile(community, int(rows.cutoff_us.max()))
        self._tell_uncounted(self.plan_, community)
        self.windows_ = observations.windows
        self.trained_until_us_ = _reach(rows) if held is None else _reach(held)
        X = build_features(community, rows, self.plan_)
        self.selection_, self.selection_report_ = select(
            self.selection, community, rows, X, label, share, mature
        )
        weight = training_weight(self.selection_, rows, taught, account_share) * share
        # Whether a colleague counts as bought is a matter of teaching; the probability is of whom deals name.
        on = calibrated_on(self.selection, community, rows, label, mature & ~colleague)
        if on.told:
            self.selection_report_["calibration"] = on.told
        _LOG.info("fit: learning from %d rows, %d of them positive", len(label), int((label > 0).sum()))
        self.classifier_: LeadClassifier = self._base()
        self.classifier_.fit(
            X,
            taught,
            sample_weight=weight,
            groups=rows.groups,
            times=rows.cutoff_us,
            calibrate_on=on.weight,
        )
        self.training_ = (X, taught, weight, rows.groups)
        self.calibration_ = widened(self.classifier_, label, rows.groups, on.weight)
        self.estimand_ = on.estimand(self.windows_.horizon_us / DAY_US)
        priced = self._out_of_fold(rows, X, label, mature)
        latest = np.sort(priced.score[priced.cutoff == last])
        if held is None:
            self.threshold_ = decision.threshold(latest, None)
        else:
            priced = self._held_back(community, held)
            self.threshold_ = decision.threshold(latest, priced.score[buyers])
        self.decision_ = decision
        self.decision_report_ = decision.price(priced, self.threshold_)
        _LOG.info("fit: learned; qualified from %.3g", self.threshold_)
        model, info = self._model(latest), model_info(self, community, rows)
        model, info["profile"] = self._profiled(model, community, rows)
        self.scorer_: Scorer = Scorer(model, self.plan_, info)
        return self

    def _tell_uncounted(self, plan: Plan, community: Community) -> None:
        if told := uncounted(self.catalogue.name, plan, community):
            warn(told)

    def _base(self) -> LeadClassifier:
        """Return the classifier to fit, with the directions that the behaviours set."""
        base: LeadClassifier = LeadClassifier() if self.classifier is None else clone(self.classifier)
        if self.monotone:
            base.set_params(monotone=column_signs(self.monotone, self.plan_) | dict(base.monotone or {}))
        return base

    def _catalogue(self, community: Community, rows: Observations, label: Values) -> Catalogue:
        """The catalogue, with the topics that tell buyers measured where none are marked."""
        self.topics_: tuple[str, ...] = ()
        if not self.learn_topics or not self.catalogue.reads_tags or self.catalogue.knows_buying_tags:
            return self.catalogue
        self.topics_ = telling_tags(community, rows, label)
        return (
            self.catalogue.with_buying_tags(*self.topics_, points=False) if self.topics_ else self.catalogue
        )

    def _fit_points(self, community: Community, observations: Observations, decision: Decision) -> Self:
        """Rank by hand-set points, where there is no deal to learn from."""
        labelled = observations.labelled()
        seen = f"{len(observations)} rows, {len(labelled)} of them labelled, none positive; {why_no_deal(community, observations)}"
        if not len(observations):
            raise InputError("There is no row to learn from or to rank. Use other cutoffs.")
        if isinstance(decision, MissRate):
            decision.check_buyers(0)
        if isinstance(decision, Costs):
            raise InputError(
                f"Costs need a probability, and there is no deal to measure one ({seen}). Use Capacity."
            )
        last = int(observations.cutoff_us.max())
        plan = self.catalogue.compile(community, last)
        self._tell_uncounted(plan, community)
        if not PointsScorer.from_plan(plan).rules:
            raise InputError(
                f"No deal to learn from ({seen}), and no behaviour of the catalogue {self.catalogue.name!r} has hand-set "
                "points to rank by: give points=HandSetPoints(...), or earlier cutoffs with won deals."
            )
        warn(f"No deal to learn from: hand-set points, and no probability ({seen}).")
        X = build_features(community, observations, plan)
        points = PointsScorer.from_plan(plan).points_for(X)
        latest = np.sort(points[observations.cutoff_us == last])
        self.plan_, self.windows_, self.decision_, self.topics_ = plan, observations.windows, decision, ()
        self.trained_until_us_ = last + (self.windows_.reach_us if len(labelled) else 0)
        label = np.maximum(observations.frame["label"].to_numpy(float), 0.0)
        self.training_ = (X, label, observations.weight, observations.groups)
        self.selection_, self.estimand_ = "none", ESTIMAND
        why = "There is no deal to learn from, so nothing to compare."
        self.selection_report_ = {"asked": self.selection, "chosen": "none", "slice": None, "why": why}
        # Who did nothing that earns points is not qualified, however large the capacity.
        self.threshold_ = max(decision.threshold(latest, None), float(np.nextafter(0.0, 1.0)))
        priced = Priced(points, label, observations.groups, observations.cutoff_us, "hand-scored")
        self.decision_report_ = decision.price(priced, self.threshold_)
        size = decision.size if isinstance(decision, Capacity) else "the best-scored"
        text = f"Qualified: {size}, as of the latest date {self.threshold_:.3g} points or more."
        info = model_info(self, community, observations, text)
        self.scorer_ = PointsOnly(plan, latest, self.threshold_, info)
        for name in ("classifier_", "calibration_"):
            self.__dict__.pop(name, None)
        return self

    def _out_of_fold(self, rows: Observations, X: pd.DataFrame, label: Values, mature: Bools) -> Priced:
        """Out-of-fold probabilities of the rows whose window is whole; in-sample ones where there are no folds."""
        log_odds = self.classifier_.oof_log_odds_
        cutoff = rows.cutoff_us
        if np.isnan(log_odds[mature & (cutoff == cutoff[mature].max())]).all():
            p = self.classifier_.predict_proba(X)[:, 1]
            return Priced(p[mature], label[mature], rows.groups[mature], cutoff[mature], "in sample")
        known = np.isfinite(log_odds) & mature
        return Priced(sigmoid(log_odds[known]), label[known], rows.groups[known], cutoff[known])

    def _held_back(self, community: Community, held: Observations) -> Priced:
        """Probabilities of the rows held back, by the model that ships."""
        p = self.classifier_.predict_proba(build_features(community, held, self.plan_))[:, 1]
        return Priced(p, held.label.to_numpy(float), held.groups, held.cutoff_us, "held back")

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
            encoding=fitted.encoding,
            calibration=self.calibration_,
            quantiles=np.sort(quantiles),
            threshold=self.threshold_,
        )

    def _profiled(
        self, model: Model, community: Community, rows: Observations
    ) -> tuple[Model, dict[str, Any]]:
        """Keep how the latest training rows were spread, for monitoring."""
        some = profiled_rows(rows.cutoff_us)
        X = self.training_[0][some]
        profile = profile_of(X)
        if profile is None:
            return model, {}
        cold = [p.cold_start for p in Scorer(model, self.plan_).predict_rows(X, reasons=0)]
        within = self.windows_.active_within_us
        said = summary_of(community, self.plan_, rows.cutoff_us[some], np.array(cold, bool), within)
        return replace(model, profile=profile), said

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
            cool_off_us=windows.get("cool_off_us"),
        )
        qualifier.trained_until_us_ = windows["trained_until_us"]
        qualifier.decision_ = decision_from(info["decision"]["kind"], info["decision"]["parameters"])
        qualifier.decision = qualifier.decision_
        qualifier.threshold_ = scorer.model.threshold
        qualifier.estimand_ = info["estimand"]
        qualifier.selection_report_ = info.get("selection_report", {})
        if info["decision"].get("price"):
            qualifier.decision_report_ = Price.from_dict(info["decision"]["price"])
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

    def describe(self, *, report: Report | None = None, terms: str | None = None) -> Self:
        """Keep in the bundle what its model card shall say; the bundle's digest, and so its version, changes with it.

        Parameters
        ----------
        report : Report, optional
            What an evaluation found: figures with intervals, aggregate only.
        terms : str, optional
            Terms of the data: licence, consent, until when they may be used.
        """
        self._check_fitted()
        if isinstance(self.scorer_, PointsOnly) or (report is None and terms is None):
            return self
        info = dict(self.scorer_.info)
        if report is not None:
            info["metrics"] = {**info["metrics"], "test": report.summary()}
        if terms is not None:
            info["terms"] = terms
        self.scorer_ = Scorer(self.scorer_.model, self.plan_, info)
        return self

    def save(self, path: str | Path, *, report: Report | None = None, terms: str | None = None) -> None:
        """Write the bundle: JSON and NumPy arrays, nothing of a member; replaces an old one whole or not at all.

        Parameters
        ----------
        path : path
            A folder, or one file that ends in ".zip".
        report, terms
            As for `describe`.

        Raises
        ------
        InputError
            If it ranks by hand-set points: there is no probability to keep.
        """
        self.describe(report=report, terms=terms).scorer_.save(path)

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

    def _repr_html_(self) -> str:
        return qualifier_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # scikit-learn's own shows parameters alone, and notebooks ask for it first.
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def __str__(self) -> str:
        if not hasattr(self, "decision_report_"):
            return repr(self)
        return f"{self!r}\n{self.scorer_.info['decision']['text']}\n{self.decision_report_}{self._selected()}"

    def _selected(self) -> str:
        why = getattr(self, "selection_report_", {}).get("why", "")
        return f"\n{why}" if why else ""


def _reach(rows: Observations) -> int:
    """Return the end of what the rows' windows show: of the last one, or of what was seen of it."""
    last = int(rows.cutoff_us.max()) + rows.windows.reach_us
    open_ = (rows.frame["label"] == NOT_LABELLED).any()
    return min(last, rows.windows.seen_until_us) if open_ else last
