"""monitor: whether the newest population is still the one of training, and whether the probabilities still hold."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from leadlight.errors import ImmatureLabelError, InputError
from leadlight.evaluation.judge import OWN, Judge
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.evaluation.redraws import Redraws
from leadlight.features import build_features
from leadlight.moments import DAY_US, Duration, Moment, moment_text, moment_us
from leadlight.observations import population_at
from leadlight.observations.outcomes import Outcomes
from leadlight.qualifier.profile import other_tags
from leadlight.tracking.comparison import OBSERVED_EXPECTED, SLOPE, Span, meant, unseen_rows
from leadlight.tracking.delivery import LoggedRun, deliver
from leadlight.tracking.drift import (
    DRIFTED,
    MOVED,
    behaviour_drift,
    column_drift,
    grade,
    plot_drift,
    plot_scores,
    score_drift,
)
from leadlight.tracking.pictures import png
from leadlight.tracking.record import Record, as_metrics, as_parameters, as_table
from leadlight.tracking.run import default_uri, places
from leadlight.tracking.sending import PATIENCE_S
from leadlight.tracking.surroundings import environment_file

if TYPE_CHECKING:
    from leadlight.community import Community
    from leadlight.qualifier import LeadQualifier

EXIT: Final = {"nothing": 0, "recalibrate": 3, "retrain": 4}
"""Exit code of `leadlight monitor` for each advice; 2 is an error."""

IMPORTANT: Final = 0.25
"""Columns that drifted and carry this part of the contributions make a retraining worth its while."""

TAGS_RISE: Final = 0.2
"""Rise of the share of tags that the plan does not know."""

VOLUME: Final = (0.5, 2.0)
COLD_RISE: Final = 0.1


@dataclass(frozen=True)
class Monitored:
    """What `monitor` found.

    Attributes
    ----------
    checks : DataFrame
        Index check; before (training), now, low, high (95 % where there is one), verdict, text.
    behaviours, columns : DataFrame
        Drift, see `leadlight.tracking.drift`.
    advice : {"nothing", "recalibrate", "retrain"}
    reasons : tuple of str
    at : str
    run : LoggedRun or None
    """

    checks: pd.DataFrame
    behaviours: pd.DataFrame
    columns: pd.DataFrame
    advice: str
    reasons: tuple[str, ...]
    at: str
    model: str
    run: LoggedRun | None = None

    @property
    def exit_code(self) -> int:
        """0: nothing to do, 3: recalibrate, 4: retrain."""
        return EXIT[self.advice]

    def __str__(self) -> str:
        lines = [f"Model {self.model}, members as of {self.at}."]
        for name, row in self.checks.iterrows():
            lines.append(f"  {row['verdict']:<8} {name}: {row['text']}")
        shown = self.behaviours[["psi", "column", "drifted", "columns", "importance", "verdict"]]
        with pd.option_context("display.width", 160, "display.max_columns", 12):
            lines += ["", shown.to_string(float_format="{:.3f}".format), ""]
        said = {
            "nothing": "Nothing to do.",
            "recalibrate": "Recalibrate: leadlight recalibrate.",
            "retrain": "Retrain.",
        }
        return "\n".join([*lines, f"{said[self.advice]} {' '.join(self.reasons)}".strip()])


def monitor(
    qualifier: LeadQualifier,
    community: Community,
    at: Moment | None = None,
    *,
    every: Duration = "30d",
    rounds: int = 500,
    log: bool = False,
    beside: str | Path = "monitoring",
    tracking_uri: str | None = None,
    experiment: str = "leadlight",
    patience: float = PATIENCE_S,
) -> Monitored:
    """Compare the newest population with training, and predictions with what has matured since.

    Parameters
    ----------
    qualifier : LeadQualifier
        Usually `LeadQualifier.load(bundle)`; its bundle keeps the profile of training.
    community : Community
    at : moment, optional
        By default just after the last known fact.
    every : duration
        Distance of the cutoffs at which predictions are checked.
    rounds : int
        Bootstrap draws of accounts.
    log : bool
        Log a run to MLflow.
    beside : path
        A run that MLflow does not take waits in ``<beside>.pending``.
    tracking_uri, experiment, patience
        As in `log_run`.

    Raises
    ------
    InputError
        The bundle keeps no profile, or nobody is in the population.
    """
    began = time.time_ns() // 1_000_000
    scorer = qualifier.scorer_
    kept = scorer.info.get("profile") or {}
    if scorer.model.profile is None or not kept:
        raise InputError(
            "The bundle keeps no profile of its training rows: it is older, or was trained on fewer than 200 rows. Train it "
            "again."
        )
    at_us = community.frozen_us + 1 if at is None else moment_us(at, name="at")
    rows = population_at(community, at_us, qualifier.windows_)
    # Training rows end with the first won deal.
    outcomes = Outcomes.of(community, at_us - 1)
    bought = outcomes.bought(
        rows.frame["member"].to_numpy(np.int64), rows.cutoff_us, qualifier.windows_.cool_off_us
    )
    rows = rows.take(~bought)
    if not len(rows):
        raise InputError(f"Nobody is in the population at {moment_text(at_us)}; give another at.")
    X = build_features(community, rows, qualifier.plan_)
    values = X.to_numpy(float)
    p = qualifier.predict_proba(X)[:, 1]
    columns = column_drift(scorer, values)
    behaviours = behaviour_drift(scorer, values, columns)
    checks: dict[str, dict[str, Any]] = {}
    _scores(checks, qualifier, p)
    cold = float(np.mean([found.cold_start for found in scorer.predict_rows(X, reasons=0)]))
    _population(checks, qualifier, community, at_us, len(rows), cold)
    _matured(checks, qualifier, community, every, rounds)
    advice, reasons = _advice(checks, behaviours)
    found = Monitored(
        pd.DataFrame.from_dict(checks, orient="index").rename_axis("check"),
        behaviours,
        columns,
        advice,
        reasons,
        moment_text(at_us),
        scorer.version,
    )
    if not log:
        return found
    plots = {
        "plots/drift.png": png(lambda: plot_drift(columns, behaviours)),
        "plots/scores.png": png(lambda: plot_scores(scorer, p)),
    }
    uri, root = places(default_uri(tracking_uri))
    record = _record(found, qualifier, community, plots, began, uri, root, experiment)
    run = deliver(record, Path(beside), None, patience)
    return Monitored(**{**found.__dict__, "run": run})


def _check(
    before: Any, now: Any, verdict: str, text: str, low: Any = np.nan, high: Any = np.nan
) -> dict[str, Any]:
    return {"before": before, "now": now, "low": low, "high": high, "verdict": verdict, "text": text}


def _scores(checks: dict[str, dict[str, Any]], qualifier: LeadQualifier, p: Any) -> None:
    scorer = qualifier.scorer_
    index, chance = score_drift(scorer, p)
    checks["score drift"] = _check(
        np.nan, index, grade(index, chance), f"stability index {index:.3f} (chance alone: up to {chance:.3f})"
    )
    before = float(scorer.model.quantiles.mean()) if len(scorer.model.quantiles) else np.nan
    checks["mean probability"] = _check(
        before, float(p.mean()), "seen", f"{before:.3%} in training, {p.mean():.3%} now"
    )
    then = (
        float((scorer.model.quantiles >= scorer.model.threshold).mean())
        if len(scorer.model.quantiles)
        else np.nan
    )
    now = float((p >= scorer.model.threshold).mean())
    checks["qualified"] = _check(then, now, "seen", f"{then:.1%} in training, {now:.1%} now")


def _population(
    checks: dict[str, dict[str, Any]],
    qualifier: LeadQualifier,
    community: Community,
    at_us: int,
    members: int,
    cold: float,
) -> None:
    kept = qualifier.scorer_.info["profile"]
    within = qualifier.windows_.active_within_us or 180 * DAY_US
    uses, strange = other_tags(community, qualifier.plan_, at_us, within)
    before = kept.get("other_tags")
    if before is not None and np.isfinite(strange):
        verdict = "drifted" if strange - before > TAGS_RISE else "stable"
        text = f"{before:.1%} of tag uses unknown to the plan in training, {strange:.1%} of {uses:,} now"
        checks["unseen tags"] = _check(before, strange, verdict, text)
    then = float(kept["cold_starts"])
    verdict = "drifted" if cold - then > COLD_RISE else "stable"
    checks["cold starts"] = _check(then, cold, verdict, f"{then:.1%} in training, {cold:.1%} now")
    ratio = members / max(float(kept["members"]), 1.0)
    verdict = "stable" if VOLUME[0] <= ratio <= VOLUME[1] else "moved"
    checks["volume"] = _check(
        float(kept["members"]),
        members,
        verdict,
        f"{kept['members']:,.0f} members a date in training, {members:,} now",
    )


def _matured(
    checks: dict[str, dict[str, Any]],
    qualifier: LeadQualifier,
    community: Community,
    every: Duration,
    rounds: int,
) -> None:
    """Observed over expected, and the slope, on the windows that have ended since training."""
    try:
        rows = unseen_rows(community, [qualifier], every)
    except ImmatureLabelError as error:
        checks["calibration"] = _check(1.0, np.nan, "unknown", str(error))
        return
    rows = rows.take(meant(qualifier, rows))
    y = rows.label.to_numpy(float)
    p = qualifier.predict_proba(build_features(community, rows, qualifier.plan_))[:, 1]
    tie = tie_order(rows.frame["member_id"])
    judge = Judge(
        y, Redraws(rows.groups, rounds, 0), {OWN: p}, {OWN: top_share(p, rows.cutoff_us, 0.05, tie)}, p, tie
    )
    level, slope = judge_calibration(judge)
    dates = f"{len(rows):,} rows from {moment_text(int(rows.cutoff_us.min()))}, {int(y.sum())} positive"
    off = level.high < OBSERVED_EXPECTED[0] or level.low > OBSERVED_EXPECTED[1]
    checks["calibration"] = _check(
        1.0,
        level.value,
        "off" if off else "holds",
        f"observed / expected {level} on {dates}; may be {OBSERVED_EXPECTED[0]:.2f} to {OBSERVED_EXPECTED[1]:.2f}",
        level.low,
        level.high,
    )
    if not np.isfinite(slope.low):
        return
    wrong = slope.high < SLOPE[0] or slope.low > SLOPE[1]
    text = f"{slope}; may be {SLOPE[0]:g} to {SLOPE[1]:g}"
    checks["calibration slope"] = _check(
        1.0, slope.value, "off" if wrong else "holds", text, slope.low, slope.high
    )
    if slope.high <= 0.2:
        checks["calibration slope"]["verdict"] = "lost"


def judge_calibration(judge: Judge) -> tuple[Span, Span]:
    """Return observed over expected, and the slope, with intervals."""
    own = judge.figures()[OWN]
    return (
        Span.of(own["observed_expected"], judge.evidence(), "count"),
        Span.of(own["calibration_slope"], judge.evidence()),
    )


def _advice(checks: dict[str, dict[str, Any]], behaviours: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Drift in what the scores rest on asks for new learning; probabilities that are off by themselves do not."""
    reasons = []
    drifted = behaviours[behaviours["verdict"] == "drifted"]
    carried = float(behaviours["drifted_importance"].sum())
    if carried >= IMPORTANT:
        reasons.append(
            f"Columns that carry {carried:.0%} of the contributions drifted: {', '.join(drifted.index)}."
        )
    if checks.get("unseen tags", {}).get("verdict") == "drifted":
        reasons.append("The plan no longer knows many of the tags that are used.")
    if checks.get("calibration slope", {}).get("verdict") == "lost":
        reasons.append("The scores hardly rank the outcomes any more.")
    if reasons:
        return "retrain", tuple(reasons)
    off = [name for name, check in checks.items() if check["verdict"] == "off"]
    if off:
        return "recalibrate", (f"Out of bounds: {', '.join(off)}.",)
    if checks["score drift"]["verdict"] == "drifted":
        return "nothing", ("The scores drifted, but what they rest on did not: watch the calibration.",)
    return "nothing", ()


def _record(
    found: Monitored,
    qualifier: LeadQualifier,
    community: Community,
    plots: dict[str, bytes],
    began: int,
    uri: str,
    root: str | None,
    experiment: str,
) -> Record:
    checks = found.checks
    metrics: dict[str, Any] = {}
    for name, row in checks.iterrows():
        key = str(name).replace(" ", "_")
        metrics |= {f"{key}.{part}": row[part] for part in ("before", "now", "low", "high")}
    metrics |= {f"psi.{_plain(name)}": row["psi"] for name, row in found.behaviours.iterrows()}
    metrics["drifted_columns"] = float((found.columns["verdict"] == "drifted").sum())
    metrics["exit_code"] = found.exit_code
    return Record(
        tracking_uri=uri,
        artifact_root=root,
        experiment=experiment,
        run_name=f"monitoring {found.at[:10]}",
        started_ms=began,
        ended_ms=time.time_ns() // 1_000_000,
        model_digest=None,
        parameters=as_parameters(
            {
                "at": found.at,
                "model_version": found.model,
                "trained_until": moment_text(qualifier.trained_until_us_),
                "data_fingerprint": community.fingerprint,
                "moved": MOVED,
                "drifted": DRIFTED,
            }
        ),
        metrics=as_metrics(metrics),
        tags={
            "leadlight.kind": "monitoring",
            "mlflow.source.name": "leadlight",
            "model_version": found.model,
            "advice": found.advice,
            "simulated": str(community.simulated).lower(),
            "mlflow.note.content": f"**{found.advice}** {' '.join(found.reasons)}",
        },
        tables={
            "checks.json": as_table(checks),
            "behaviours.json": as_table(found.behaviours),
            "columns.json": as_table(found.columns),
        },
        files={**plots, "environment.json": environment_file(), "monitoring.txt": f"{found}\n".encode()},
    )


def _plain(name: Any) -> str:
    """Return a name of which MLflow makes a metric's: letters, digits, spaces, `_-./`."""
    return "".join(c if c.isalnum() or c in " _-./" else "-" for c in str(name))
