"""Judge a qualifier on later rows, beside its baselines, with intervals over accounts."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.base import clone

from leadlight.community import Community
from leadlight.errors import InputError, LeakageError, warn
from leadlight.estimators import PointsScorer
from leadlight.estimators.points import worth
from leadlight.evaluation.audit import audit_leakage
from leadlight.evaluation.audit_community import audit_community
from leadlight.evaluation.baselines import BASELINES, baseline_score
from leadlight.evaluation.judge import OWN, Judge, Prices, tabulate
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.evaluation.redraws import Codes, Redraws, Values
from leadlight.evaluation.report import Report
from leadlight.evaluation.views import judge_views, view_weights
from leadlight.evaluation.warning import WEEK_US, Demand, weeks_of_warning
from leadlight.features import build_features
from leadlight.moments import Duration, duration_us, moment_text
from leadlight.observations import Observations
from leadlight.plan import Plan

_LOG = logging.getLogger(__name__)


class Qualifier(Protocol):
    """What `evaluate` asks of a qualifier."""

    plan_: Plan
    trained_until_us_: int
    training_: Any

    def fit(self, community: Community, observations: Observations) -> Any:
        """Fit on training rows."""

    def predict_proba(self, X: pd.DataFrame) -> Values:
        """Return probabilities of feature rows."""


def evaluate(
    qualifier: Any,
    community: Community,
    test: Observations,
    baselines: tuple[str, ...] = BASELINES,
    *,
    share: float = 0.05,
    rounds: int = 500,
    seed: int = 0,
    costs: Prices | None = None,
    embargo: Duration | None = None,
    excuse: tuple[str, ...] = (),
    n_jobs: int = 1,
) -> Report:
    """Measure a qualifier on rows later than its training.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted on earlier rows. An unfitted one is cloned and fitted on the earlier part of `test`, and judged on the rest.
    community : Community
    test : Observations
        Labelled rows; rows without a label are left out.
    baselines : tuple of str
        From "points", "recency", "logistic", "lightgbm", "random"; trained on the qualifier's own training rows.
    share : float
        Capacity: the best share of each cutoff is called; equal scores by a fixed hash of the member.
    rounds : int
        Bootstrap draws of whole accounts, the same for every model.
    seed : int
    costs : Costs, optional
        Cost of a wasted approach and of a missed buyer: adds profit, in which a buyer counts once and a call each time.
    embargo : duration, optional
        For an unfitted qualifier: training windows end at least this long before the first test cutoff. They always
        end by it, so that training cutoffs lie gap + horizon before it.
    excuse : tuple of str
        Columns that the leakage audit flags and that are known to be fine. Others are warned of, and `report.audit`
        holds the evidence.
    n_jobs : int
        Models whose figures are redrawn at once; the result is the same.

    Returns
    -------
    Report

    Raises
    ------
    LeakageError
        If a test cutoff lies before the end of a training window.
    InputError
        If a parameter is out of range, or the test rows are all alike.

    Examples
    --------
    >>> import leadlight as ll
    >>> community = ll.testing.small_community()
    >>> asks = ll.Behaviour(
    ...     "asks",
    ...     (ll.Count("question", window="90d"),),
    ...     reason="asked {question_count_90d:question|questions}",
    ... )
    >>> train, test = ll.observe(community).split(train_until="2024-08-20", test_from="2024-08-20")
    >>> qualifier = ll.LeadQualifier(ll.Catalogue([asks])).fit(community, train)
    >>> report = ll.evaluate(qualifier, community, test, baselines=("recency",), rounds=20)
    >>> report.metric("auc") > report.metric("auc", "recency")
    True
    >>> print(report.sentence)
    Simulated: With 16 calls at each of 1 dates this reaches 4 of 15 buyers. (Calling the best 5% at each of 1 dates.)
    """
    _check(qualifier, baselines, share, rounds)
    if not hasattr(qualifier, "plan_"):
        qualifier, test = fit_on_earlier(qualifier, community, test, embargo)
    test = test.labelled()
    check_later(qualifier, test)
    y = test.label.to_numpy(float)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"The test rows hold {int(y.sum())} positives of {len(y)}; there is nothing to rank."
        )
    scores, notes = _scores(qualifier, community, test, baselines)
    probability, cutoff = scores[OWN], test.cutoff_us
    tie = tie_order(test.frame["member_id"])
    redraws = Redraws(test.groups, rounds, seed)
    _LOG.info("evaluate: %d draws of %d accounts for %d models", rounds, redraws.count, len(scores))
    chosen = {name: top_share(score, cutoff, share, tie) for name, score in scores.items()}
    judge = Judge(y, redraws, scores, chosen, probability, tie, costs, n_jobs)
    figures, evidence = judge.figures(), judge.evidence()
    notes = (*notes, *judge.cautions())
    calls = float(chosen[OWN].sum() / len(np.unique(cutoff)))
    weeks = _every_weeks(cutoff)
    warning, lead = _warn(judge, community, test, calls, weeks, seed)
    for name, draws in lead.items():
        figures[name]["lead_weeks"] = draws
    table = tabulate(figures, evidence, float(judge.buyers()[0]), float(y.sum()) / evidence)
    if warning is None:
        notes = (*notes, "Weeks of warning need won deals of members in the test rows; there are none.")
    else:
        # One figure, one interval: buyers of whom rows could have warned are not quite those with a positive row.
        for name in lead:
            table.loc[(name, "lead_weeks"), ["low", "high"]] = warning.loc[name, ["low", "high"]].to_numpy()
    weights, texts = view_weights(community, test)
    curves = {"gains": judge.gains(), "lift": judge.lift(), "calibration": judge.calibration()}
    curves["calibration_table"] = (
        table.loc[OWN].loc[["observed_expected", "calibration_slope"], ["value", "low", "high"]].reset_index()
    )
    settings = {
        "share": share,
        "rows": len(y),
        "positives": int(y.sum()),
        "accounts": redraws.count,
        "buyers": int(judge.buyers()[0]),
        "evidence": evidence,
        "cutoffs": len(np.unique(cutoff)),
        "calls": calls,
        "base_rate": float(y.mean()),
        "first_cutoff": moment_text(int(cutoff.min())),
        "last_cutoff": moment_text(int(cutoff.max())),
        "trained_until": moment_text(qualifier.trained_until_us_),
        "calibration_slope": float(figures[OWN]["calibration_slope"][0]),
        "simulated": community.simulated,
        "estimand": getattr(qualifier, "estimand_", ""),
        "selection_why": getattr(qualifier, "selection_report_", {}).get("why", ""),
    }
    if weeks is not None:
        settings["calls_per_week"] = calls / weeks
    if costs is not None:
        curves["profit"] = judge.profit(costs)
        settings["cost_call"], settings["cost_missed"] = costs.false_positive, costs.false_negative
        own = curves["profit"].query("model == @OWN and best").iloc[0]
        settings["profit_best_share"], settings["profit_best"] = float(own["called"]), float(own["profit"])
    X_train, y_train, _, train_groups = qualifier.training_
    _LOG.info("evaluate: leakage audit of %d columns", X_train.shape[1])
    points = PointsScorer.from_plan(qualifier.plan_)
    learned = worth(points, X_train, y_train, train_groups) if points.rules else None
    audit = audit_leakage(
        X_train, pd.Series(y_train, index=X_train.index), groups=train_groups, excuse=excuse
    )
    audit = audit.with_findings_of(audit_community(community, qualifier.plan_))
    if not audit.clean:
        warn(f"{audit} Nothing measured here counts until these are explained.")
    return Report(
        table,
        curves,
        test_counts(test),
        settings,
        learned,
        audit,
        notes,
        judge_views(judge, weights, texts),
        warning,
    )


def _check(qualifier: Any, baselines: tuple[str, ...], share: float, rounds: int) -> None:
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown or isinstance(baselines, str):
        raise InputError(f"baselines is {baselines!r}; give a tuple of names from {BASELINES}.")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it must be in (0, 1], such as .05.")
    if rounds < 0:
        raise InputError(f"rounds is {rounds}; give 0 for no intervals, or some hundreds.")
    if hasattr(qualifier, "plan_") and not hasattr(qualifier, "training_"):
        raise InputError(
            "This qualifier was loaded from a bundle, which keeps no training rows for the baselines. "
            "Fit it again, or judge the one that was fitted."
        )


def _scores(
    qualifier: Any, community: Community, test: Observations, baselines: tuple[str, ...]
) -> tuple[dict[str, Values], tuple[str, ...]]:
    """Return the scores of the model and of the baselines, and what there is to say about them."""
    X = build_features(community, test, qualifier.plan_)
    scores: dict[str, Values] = {OWN: qualifier.predict_proba(X)[:, 1]}
    X_train, y_train, weight, _ = qualifier.training_
    notes: tuple[str, ...] = ()
    if "points" in baselines and not PointsScorer.from_plan(qualifier.plan_).rules:
        baselines = tuple(name for name in baselines if name != "points")
        notes = ("No behaviour of this catalogue has hand-set points, so there are none to compare with.",)
    for name in baselines:
        _LOG.info("evaluate: baseline %r on %d rows", name, len(X))
        scores[name] = baseline_score(name, qualifier.plan_, (X_train, y_train, weight), X)
    return scores, notes


def _every_weeks(cutoff: Codes) -> float | None:
    """Weeks between cutoffs; None where they are irregular or there is one only."""
    steps = np.diff(np.unique(cutoff))
    return float(steps[0]) / WEEK_US if len(steps) and (steps == steps[0]).all() else None


def _warn(
    judge: Judge, community: Community, test: Observations, calls: float, weeks: float | None, seed: int
) -> tuple[pd.DataFrame | None, dict[str, Values]]:
    """Weeks of warning with as many new alerts as calls, or fewer where cutoffs are less than a month apart."""
    demand = Demand.of(community, test, judge.redraws.codes)
    if not len(demand.account):
        return None, {}
    # Nobody is alerted twice in half a year: with the calls of every week the whole population soon would be.
    budget = max(1, round(calls * min(1.0, 1.0 if weeks is None else weeks * 7 / 30)))
    return weeks_of_warning(judge.scores, test, demand, budget, judge.redraws, tie=judge.tie, seed=seed)


def test_counts(test: Observations) -> pd.DataFrame:
    """Return rows, won, lost, open and contacted per cutoff."""
    frame = test.frame
    grouped = frame.groupby("cutoff")
    counts = pd.DataFrame({"rows": grouped.size(), "positive": grouped["label"].sum()})
    for outcome in ("won", "lost", "open"):
        counts[outcome] = (frame["outcome"] == outcome).groupby(frame["cutoff"]).sum()
    contacted = (frame["contacted"] == True).astype(bool)  # noqa: E712 - None is not True
    counts["contacted"] = contacted.groupby(frame["cutoff"]).sum()
    return counts


test_counts.__test__ = False  # type: ignore[attr-defined]


def fit_on_earlier(
    qualifier: Any, community: Community, rows: Observations, embargo: Duration | None = None
) -> tuple[Any, Observations]:
    """Fit a clone on the earlier rows of `earlier_and_later`; return it, and the later rows to judge it on."""
    train, test = earlier_and_later(rows, embargo)
    return clone(qualifier).fit(community, train), test


def earlier_and_later(
    rows: Observations, embargo: Duration | None = None
) -> tuple[Observations, Observations]:
    """Split labelled rows where the last three tenths of the cutoffs begin, or soon after.

    Returns
    -------
    train, test
        Rows whose windows end by the first cutoff of the test, as they were known then; and the later rows.

    Raises
    ------
    InputError
        There are fewer than four cutoffs, or no row that is mature by then.
    """
    rows = rows.labelled()
    cutoffs = np.unique(rows.cutoff_us)
    if len(cutoffs) < 4:
        raise InputError(
            f"{len(cutoffs)} cutoffs are too few to train on the earlier and test on the later ones."
        )
    held = rows.windows.reach_us + (0 if embargo is None else duration_us(embargo, name="embargo", zero=True))
    later = cutoffs[int(len(cutoffs) * 0.7) :]
    mature = later[cutoffs[0] + held <= later]
    start = int(mature[0] if len(mature) else later[0])
    return rows.split(start, start, embargo=embargo)


def check_later(qualifier: Any, test: Observations) -> None:
    """Raise `LeakageError` if a test row's cutoff lies before the end of a training window."""
    cutoffs = test.cutoff_us
    early = cutoffs < qualifier.trained_until_us_
    if early.any():
        raise LeakageError(
            f"{int(early.sum())} test rows have cutoffs before {moment_text(qualifier.trained_until_us_)}, when the last "
            "training window ended: the model has seen part of their future. Test on later cutoffs."
        )
