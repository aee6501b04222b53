"""Two models on rows that neither has seen: figures with paired intervals, and the gates of a promotion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import ImmatureLabelError, InputError
from leadlight.estimators import PointsScorer
from leadlight.evaluation import audit_community, audit_leakage
from leadlight.evaluation.judge import OWN, Judge
from leadlight.evaluation.metrics import log_loss_rows, tie_order, top_share
from leadlight.evaluation.redraws import Redraws, interval
from leadlight.features import build_features
from leadlight.moments import DAY_US, Duration, moment_text
from leadlight.observations import Observations, observe
from leadlight.qualifier.selection import contacted

if TYPE_CHECKING:
    from leadlight.community import Community
    from leadlight.evaluation import Audit
    from leadlight.qualifier import LeadQualifier

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

OBSERVED_EXPECTED: Final = (2 / 3, 3 / 2)
SLOPE: Final = (0.5, 2.0)
LARGE_SEGMENT: Final = (0.1, 10)
"""Share of the rows, and buyers, from which on a segment is large."""

WEEKS: Final = 52


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion, and what was seen."""

    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.text}"


@dataclass(frozen=True)
class Span:
    """A figure with its 95 % interval, accounts redrawn."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Values, accounts: float, scale: str = "plain", spread: float = 0.0) -> Span:
        """Return the figure of draws, the first of which is the sample."""
        return cls(float(draws[0]), *interval(draws, scale, accounts, spread))

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    rows, positives, buyers, cutoffs : int
    first, last : str
        First and last cutoff.
    share : float
        Capacity.
    against : str
        "champion", or "points" or "recency" where there is none.
    reached, reached_before : float
        Buyers reached at capacity by the challenger, and by what it is compared with.
    gain : Span
        Difference of buyers reached.
    log_loss_gain : Span or None
        How much lower the challenger's log loss is, on the rows that its probability is of; None without a champion.
    same_calls : bool
        Both call the same members.
    observed_expected, slope : Span
        Of the challenger, on the rows that its probability is of.
    segments : dict of str to Span
        Difference of buyers reached in each large segment.
    audit : Audit
    """

    rows: int
    positives: int
    buyers: int
    cutoffs: int
    first: str
    last: str
    share: float
    against: str
    reached: float
    reached_before: float
    gain: Span
    log_loss_gain: Span | None
    same_calls: bool
    observed_expected: Span
    slope: Span
    audit: Audit
    segments: dict[str, Span] = field(default_factory=dict)

    def gates(self) -> list[Gate]:
        """Return the gates that the data decide; `docs/promotion.md` says what each asks."""
        return [self._better(), self._calibrated(), self._segments(), self._clean()]

    def _better(self) -> Gate:
        other = {
            "champion": "the champion",
            "points": "hand-set points",
            "recency": "the most recently active",
        }
        if self.same_calls and self.log_loss_gain is not None:
            text = f"both call the same members; the log loss falls by {self.log_loss_gain}"
            return Gate("better at capacity", self.log_loss_gain.low > 0, text)
        text = (
            f"calling the best {self.share:.0%} it reaches {self.reached:.0f} of {self.buyers} buyers, "
            f"{other[self.against]} {self.reached_before:.0f}; difference {self.gain}"
        )
        return Gate("better at capacity", self.gain.low > 0, text)

    def _calibrated(self) -> Gate:
        low, high = OBSERVED_EXPECTED
        level = self.observed_expected.high >= low and self.observed_expected.low <= high
        # With few positives the slope is not known, and the level alone decides.
        slope = not np.isfinite(self.slope.low) or (
            self.slope.high >= SLOPE[0] and self.slope.low <= SLOPE[1]
        )
        text = (
            f"observed / expected {self.observed_expected}, may be {low:.2f} to {high:.2f}; slope {self.slope}, may be "
            f"{SLOPE[0]:g} to {SLOPE[1]:g}"
        )
        return Gate("calibration in bounds", bool(level and slope), text)

    def _segments(self) -> Gate:
        worse = {name: span for name, span in self.segments.items() if span.high < 0}
        text = "; ".join(f"{name} {span}" for name, span in (worse or self.segments).items())
        return Gate("no large segment worse", not worse, text or "no segment is large")

    def _clean(self) -> Gate:
        return Gate("leakage audit clean", self.audit.clean, str(self.audit))


def unseen_rows(
    community: Community, qualifiers: list[LeadQualifier], every: Duration = "30d"
) -> Observations:
    """Return the mature rows with cutoffs that no training window of the qualifiers reaches.

    Raises
    ------
    ImmatureLabelError
        No such window has ended yet; the message says when the first will have.
    """
    start = max(q.trained_until_us_ for q in qualifiers)
    windows = qualifiers[0].windows_
    ready = start + windows.reach_us
    try:
        if ready > community.frozen_us + 1:
            raise ImmatureLabelError("")
        rows = observe(
            community,
            every,
            _span(windows.horizon_us),
            _span(windows.gap_us),
            _span(windows.active_within_us or 180 * DAY_US),
            enters_on=windows.enters_on or None,
            start=start,
            cool_off=None if windows.cool_off_us is None else _span(windows.cool_off_us),
        ).labelled()
    except ImmatureLabelError as error:
        raise ImmatureLabelError(
            f"No verdict: training reaches to {moment_text(start)}, the first label window after it ends on "
            f"{moment_text(ready)}, and the data end on {moment_text(community.frozen_us)}. Wait until then, or train a "
            "challenger with an earlier labels.until."
        ) from error
    return rows


def _span(us: int) -> timedelta:
    return timedelta(microseconds=us)


def compare(
    challenger: LeadQualifier,
    champion: LeadQualifier | None,
    community: Community,
    *,
    share: float | None = None,
    every: Duration = "30d",
    rounds: int = 500,
    seed: int = 0,
    excuse: tuple[str, ...] = (),
) -> Comparison:
    """Judge a challenger beside the champion on all mature windows that neither has seen.

    Parameters
    ----------
    challenger, champion : LeadQualifier
        Loaded from bundles. Without a champion the challenger is judged beside its plan's hand-set points, or, where it
        has none, beside who was active most recently.
    community : Community
    share : float, optional
        Capacity; by default that of the challenger's decision, else .05.
    every : duration
        Distance of cutoffs.
    rounds, seed : int
        Bootstrap draws of accounts, the same for both.
    excuse : tuple of str
        Columns that the audit flags and that are known to be fine.

    Raises
    ------
    ImmatureLabelError
        No window that neither has seen has ended.
    InputError
        The rows hold no buyer, or nobody else.
    """
    rows = unseen_rows(community, [challenger] + ([] if champion is None else [champion]), every)
    y = rows.label.to_numpy(float)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"The mature windows since training hold {int(y.sum())} positives of {len(y)} rows: there is nothing to judge by."
        )
    share = share or getattr(challenger.decision_, "share", None) or 0.05
    X = build_features(community, rows, challenger.plan_)
    p = challenger.predict_proba(X)[:, 1]
    against, other, p_before = _other(challenger, champion, community, rows, X)
    scores = {OWN: p, against: other}
    tie = tie_order(rows.frame["member_id"])
    chosen = {name: top_share(s, rows.cutoff_us, share, tie) for name, s in scores.items()}
    redraws = Redraws(rows.groups, rounds, seed)
    judge = Judge(y, redraws, scores, chosen, p, tie)
    buyers = float(judge.buyers()[0])
    figures = judge.figures()
    own, before = (figures[name]["buyers_reached"] for name in (OWN, against))
    asked = meant(challenger, rows)
    sub = Judge(
        y[asked],
        Redraws(rows.groups[asked], rounds, seed),
        {OWN: p[asked]},
        {OWN: chosen[OWN][asked]},
        p[asked],
        tie[asked],
    )
    level, slope = sub.figures()[OWN]["observed_expected"], sub.figures()[OWN]["calibration_slope"]
    audit = audit_leakage(X, rows.label, groups=rows.groups, excuse=excuse).with_findings_of(
        audit_community(community, challenger.plan_)
    )
    return Comparison(
        rows=len(y),
        positives=int(y.sum()),
        buyers=int(buyers),
        cutoffs=int(rows.frame["cutoff"].nunique()),
        first=moment_text(int(rows.cutoff_us.min())),
        last=moment_text(int(rows.cutoff_us.max())),
        share=float(share),
        against=against,
        reached=float(own[0]),
        reached_before=float(before[0]),
        gain=Span.of(own - before, buyers, spread=1.0),
        log_loss_gain=None
        if p_before is None
        else _log_loss_gain(y, p, p_before, asked, rows.groups, rounds, seed),
        same_calls=bool((chosen[OWN] == chosen[against]).all()),
        observed_expected=Span.of(level, sub.evidence(), "count"),
        slope=Span.of(slope, sub.evidence()),
        audit=audit,
        segments=_in_segments(judge, community, rows, chosen[OWN], chosen[against]),
    )


def _other(
    challenger: LeadQualifier,
    champion: LeadQualifier | None,
    community: Community,
    rows: Observations,
    X: pd.DataFrame,
) -> tuple[str, Values, Values | None]:
    from leadlight.evaluation.baselines import baseline_score

    if champion is not None:
        p = champion.predict_proba(build_features(community, rows, champion.plan_))[:, 1]
        return "champion", p, p
    points = PointsScorer.from_plan(challenger.plan_)
    if points.rules:
        return "points", points.points_for(X), None
    nothing = (X.iloc[:0], np.empty(0), np.empty(0))
    return "recency", baseline_score("recency", challenger.plan_, nothing, X), None


def meant(qualifier: LeadQualifier, rows: Observations) -> Bools:
    """Return the rows that the probability is of: those approached where it says so, else all."""
    asked = contacted(rows)
    y = rows.label.to_numpy(float)
    some = "| approached" in qualifier.estimand_
    return asked if some and 0 < y[asked].sum() < asked.sum() else np.ones(len(rows), bool)


def _log_loss_gain(
    y: Values, p: Values, before: Values, asked: Bools, groups: NDArray[Any], rounds: int, seed: int
) -> Span:
    redraws = Redraws(groups[asked], rounds, seed)
    fall = log_loss_rows(before[asked], y[asked]) - log_loss_rows(p[asked], y[asked])
    count = redraws.sums(np.ones(int(asked.sum())))
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = redraws.sums(fall) / count
    return Span.of(draws, redraws.count)


def segments(community: Community, rows: Observations) -> dict[str, Bools]:
    """Return rows by what is known of their members: account, role, tenure, function."""
    members, frame = community.members, rows.frame
    code = community.codes(frame["member_id"])
    joined = members.joined_at(code, rows.cutoff_us)
    fresh = rows.cutoff_us - np.where(joined > 0, joined, rows.cutoff_us) < WEEKS * 7 * DAY_US
    account = frame["account_id"].notna().to_numpy(bool)
    customer = frame["customer"].to_numpy(bool)
    found = {
        "with an account": account,
        "without an account": ~account,
        "customers": customer,
        "not customers": ~customer,
    }
    if (joined > 0).any():
        found |= {"joined within a year": (joined > 0) & fresh, "joined earlier": (joined > 0) & ~fresh}
    function = members.facts["job_function"].to_numpy(object)[code]
    for name in sorted({f for f in function if isinstance(f, str)}):
        found[f"function {name}"] = function == name
    return found


def _in_segments(
    judge: Judge, community: Community, rows: Observations, own: Bools, before: Bools
) -> dict[str, Span]:
    found = {}
    for name, inside in segments(community, rows).items():
        held = float(judge.buyers(inside)[0])
        if inside.mean() < LARGE_SEGMENT[0] or held < LARGE_SEGMENT[1] or inside.all():
            continue
        draws = judge.buyers(inside & own) - judge.buyers(inside & before)
        found[name] = Span.of(draws, held, spread=1.0)
    return found
