"""The rule from probability to `qualified`: a capacity, costs, or a bound on missed buyers; and what each costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from leadlight.errors import InputError
from leadlight.moments import Duration, duration_us

Values = NDArray[np.float64]
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Priced:
    """Rows that a decision is priced on; the model had not seen them.

    Attributes
    ----------
    score, label : float64 arrays of shape (n,)
        Probability (or points), and 1 where a deal was won, else 0.
    group, cutoff : arrays of shape (n,)
        Account (or member without one) and time.
    source : str
        Where they come from: "out-of-fold", "held back", or "in sample" where there were too few deals for folds.
    """

    score: Values
    label: Values
    group: NDArray[Any]
    cutoff: NDArray[Any]
    source: str = "out-of-fold"


@dataclass(frozen=True, repr=False)
class Price:
    """What a decision costs, on rows that the model had not seen. `str` says it in sentences.

    Attributes
    ----------
    source : str
        "out-of-fold", "held back" or "in sample".
    threshold : float
        Score from which a member is qualified.
    rows, dates : int
        How many rows it was measured on, of how many cutoffs.
    flagged : float
        Share of the rows that are qualified, existing customers and open deals included, 0 to 1.
    calls : float
        Qualified members a date.
    buyers, missed : int
        Accounts (or members without one) with a won deal, and those of them that are not qualified in the one positive
        row that is drawn blind for each.
    missed_share, missed_low, missed_high : float
        Share of buyers missed, with its exact 95 % binomial (Clopper-Pearson) interval.
    calls_per_buyer : float
        Calls for each account reached that won, on a date's list.
    false_per_true : float
        Qualified rows without a deal for each with one.
    bound : float
        `MissRate`: upper bound of the share of buyers missed, at its confidence.
    profit, expected_profit : float
        `Costs`: gain over no call at all, a date, by the outcomes and by the probabilities. Each row counts for itself.
    sentence : str
        What is particular to the decision.
    """

    source: str
    threshold: float
    rows: int
    dates: int
    flagged: float
    calls: float
    buyers: int
    missed: int
    missed_share: float = NAN
    missed_low: float = NAN
    missed_high: float = NAN
    calls_per_buyer: float = NAN
    false_per_true: float = NAN
    bound: float = NAN
    profit: float = NAN
    expected_profit: float = NAN
    sentence: str = field(default="", compare=False)

    @classmethod
    def of(cls, priced: Priced, threshold: float) -> Price:
        """Measure what qualifying from a threshold on costs."""
        called, won = priced.score >= threshold, priced.label > 0
        dates = len(np.unique(priced.cutoff))
        draw = np.flatnonzero(won)[one_row_each(priced.group[won])]
        missed = int((~called[draw]).sum())
        low, high = binomial_interval(missed, len(draw))
        hits = called & won
        reached = len(set(zip(priced.cutoff[hits].tolist(), priced.group[hits].tolist(), strict=True)))
        return cls(
            source=priced.source,
            threshold=float(threshold),
            rows=len(called),
            dates=dates,
            flagged=float(called.mean()) if len(called) else NAN,
            calls=float(called.sum() / dates) if dates else NAN,
            buyers=len(draw),
            missed=missed,
            missed_share=missed / len(draw) if len(draw) else NAN,
            missed_low=low,
            missed_high=high,
            calls_per_buyer=float(called.sum() / reached) if reached else NAN,
            false_per_true=float((called & ~won).sum() / hits.sum()) if hits.any() else NAN,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what is not known is None."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Price:
        """Rebuild it from `to_dict`; names that this version does not know are left out."""
        known = {f.name for f in fields(cls)}
        found: dict[str, Any] = {n: NAN if v is None else v for n, v in values.items() if n in known}
        return cls(**found)

    def __str__(self) -> str:
        said = [
            f"On {self.rows:,} {self.source} rows of {self.dates} dates it flags {self.flagged:.1%} of all members, "
            f"{self.calls:,.0f} a date."
        ]
        if not self.buyers:
            said.append("No deal was won in them: how many buyers it misses is not known.")
        else:
            said.append(
                f"Of {self.buyers} accounts that won it misses {self.missed} ({self.missed_share:.0%}; 95 % interval "
                f"{self.missed_low:.0%} to {self.missed_high:.0%})."
            )
            said.append(
                "It reached none of them."
                if np.isnan(self.calls_per_buyer)
                else f"It makes {self.calls_per_buyer:,.1f} calls for each account reached that won, and "
                f"{self.false_per_true:,.1f} false positives for each true one."
            )
        return " ".join([*said, self.sentence] if self.sentence else said)

    __repr__ = __str__


def one_row_each(group: NDArray[Any], seed: int = 0) -> NDArray[np.int64]:
    """Return the position of one row of each group, drawn blind: at random, without a look at its score."""
    order = np.random.default_rng(seed).permutation(len(group))
    _, first = np.unique(np.asarray(group)[order].astype(str), return_index=True)
    found: NDArray[np.int64] = order[first]
    return found


def binomial_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of a share; (0, 1) of no trial."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low, high


class Decision(Protocol):
    """What `LeadQualifier` asks of a decision."""

    kind: ClassVar[str]
    needs_holdout: ClassVar[bool]

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return the probability from which a member is qualified."""

    def describe(self, threshold: float) -> str:
        """Return one sentence."""

    def price(self, priced: Priced, threshold: float) -> Price:
        """Return what the decision costs on rows that the model had not seen."""

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values."""


@dataclass(frozen=True)
class Capacity:
    """Approach the best-scored members, as many as sales can handle.

    Parameters
    ----------
    n : int, optional
        Members per date.
    share : float, optional
        Share of the population, in (0, 1]. Give n or share; neither means 5 %.
    per_account : int, optional
        At most so many members of one account on a call list.
    not_contacted_within : duration, optional
        Members contacted more recently than this stay off the call list.

    Notes
    -----
    `qualified` compares with the quantile of the out-of-fold scores at the latest training cutoff, so that a lead alone
    and a lead in a batch get one answer; `scores.top(n)` ranks a batch exactly and applies the last two rules.

    Examples
    --------
    >>> import leadlight as ll
    >>> ll.Capacity(share=0.05).size
    'the best-scored 5%'
    >>> ll.Capacity(n=40, per_account=2, not_contacted_within="30d")
    Capacity(n=40, per_account=2, not_contacted_within='30d')
    """

    n: int | None = None
    share: float | None = None
    per_account: int | None = None
    not_contacted_within: Duration | None = None

    kind: ClassVar[str] = "capacity"
    needs_holdout: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.n is not None and self.share is not None:
            raise InputError(f"Capacity got n={self.n} and share={self.share}; give one.")
        for name in ("n", "per_account"):
            count = getattr(self, name)
            if count is not None and (
                not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1
            ):
                raise InputError(f"{name} is {count!r}; it must be a whole number of at least 1.")
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; it must be in (0, 1], such as .05.")
        if self.not_contacted_within is not None:
            duration_us(self.not_contacted_within, name="not_contacted_within")

    def __repr__(self) -> str:
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return (
            f"Capacity({', '.join(f'{name}={value!r}' for name, value in told.items() if value is not None)})"
        )

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return the score of the last member that fits."""
        if not len(latest):
            return float("nan")
        count = self.n if self.n is not None else max(1, round((self.share or 0.05) * len(latest)))
        return float(np.sort(latest)[::-1][min(count, len(latest)) - 1])

    @property
    def size(self) -> str:
        """How many are approached, in words."""
        if self.n is not None:
            return f"the {self.n} best-scored members"
        return f"the best-scored {self.share or 0.05:.0%}"

    def describe(self, threshold: float) -> str:
        """Return one sentence."""
        return f"Qualified: {self.size}, as of the latest training date a probability of {threshold:.2%} or more."

    def price(self, priced: Priced, threshold: float) -> Price:
        """Return what it costs, and how many of the accounts that won the same capacity reaches."""
        found = Price.of(priced, threshold)
        if not found.buyers:
            return found
        reached = f"{found.buyers - found.missed} of {found.buyers} accounts that won"
        return replace(found, sentence=f"So {found.calls:,.0f} calls a date reach {reached}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values."""
        found = asdict(self)
        within = self.not_contacted_within
        found["not_contacted_within"] = None if within is None else duration_us(within)
        return found


@dataclass(frozen=True)
class Costs:
    """Approach where the expected gain exceeds the cost of an approach.

    Parameters
    ----------
    false_positive, false_negative : float
        Cost of an approach that had no chance, and of a buyer nobody approached, in one currency.

    Examples
    --------
    >>> import leadlight as ll
    >>> rule = ll.Costs(false_positive=50, false_negative=2_000)
    >>> rule.describe(50 / 2_050)
    'Qualified: a probability of 2.44% or more, since a wasted approach costs 50 and a missed buyer 2000.'
    """

    false_positive: float
    false_negative: float

    kind: ClassVar[str] = "costs"
    needs_holdout: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (0 < self.false_positive < np.inf and 0 < self.false_negative < np.inf):
            raise InputError(
                f"Costs must be positive and finite; got {self.false_positive} and {self.false_negative}."
            )

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return fp / (fp + fn)."""
        return self.false_positive / (self.false_positive + self.false_negative)

    def describe(self, threshold: float) -> str:
        """Return one sentence."""
        return (
            f"Qualified: a probability of {threshold:.2%} or more, since a wasted approach costs {self.false_positive:g} "
            f"and a missed buyer {self.false_negative:g}."
        )

    def price(self, priced: Priced, threshold: float) -> Price:
        """Return what it costs, and the profit over no call at all."""
        found = Price.of(priced, threshold)
        called = priced.score >= threshold
        dates = max(found.dates, 1)

        def gain(won: Values) -> float:
            return float((self.false_negative * won - self.false_positive * (1 - won)).sum() / dates)

        expected, seen = gain(priced.score[called]), gain(priced.label[called])
        text = (
            f"At the threshold of {threshold:.2%} the profit over no call at all is {expected:,.4g} a date by the "
            f"probabilities and {seen:,.4g} by the outcomes."
        )
        return replace(found, profit=seen, expected_profit=expected, sentence=text)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class MissRate:
    """Miss at most a share of the buyers, with a confidence.

    Parameters
    ----------
    at_most : float
        Share of buyers that may be missed.
    confidence : float, default=0.9
        Of the exact binomial (Clopper-Pearson) bound, on one positive row per account, drawn blind, of the latest mature
        window, held back from fitting: the cutoffs less than a horizon before the last. It covers buyers exchangeable
        with those: not drift, and not buyers whom nobody approached.

    Examples
    --------
    >>> import leadlight as ll
    >>> ll.MissRate(at_most=0.1, confidence=0.9).buyers_needed
    22
    """

    at_most: float
    confidence: float = 0.9

    kind: ClassVar[str] = "miss_rate"
    needs_holdout: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 < self.at_most < 1 and 0 < self.confidence < 1):
            raise InputError(
                f"at_most and confidence are shares in (0, 1); got {self.at_most} and {self.confidence}."
            )

    @property
    def buyers_needed(self) -> int:
        """Fewest buyers that can support the promise, with none of them missed."""
        return int(np.ceil(np.log(1 - self.confidence) / np.log(1 - self.at_most)))

    def misses_allowed(self, buyers: int) -> int:
        """Most misses among so many buyers whose upper bound stays below `at_most`; -1 where none does."""
        allowed = -1
        for misses in range(buyers):
            if self.bound(misses, buyers) > self.at_most:
                break
            allowed = misses
        return allowed

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return the highest score that keeps the promise.

        Raises
        ------
        InputError
            If there are too few buyers to support it.
        """
        scores = np.empty(0) if buyers is None else buyers
        self.check_buyers(len(scores))
        return float(np.sort(scores)[self.misses_allowed(len(scores))])

    def check_buyers(self, count: int) -> None:
        """Raise `InputError`, with the number needed, where so many buyers cannot support the promise."""
        if self.misses_allowed(count) < 0:
            raise InputError(
                f"{count} buyers in the held-back window cannot support 'at most {self.at_most:.0%} missed at "
                f"{self.confidence:.0%} confidence'; it needs at least {self.buyers_needed}. Use Capacity, or wait."
            )

    def bound(self, missed: int, buyers: int) -> float:
        """Return the exact (Clopper-Pearson) upper bound of the share missed, at the confidence."""
        return float(beta.ppf(self.confidence, missed + 1, buyers - missed)) if missed < buyers else 1.0

    def describe(self, threshold: float) -> str:
        """Return one sentence."""
        return (
            f"Qualified: a probability of {threshold:.2%} or more, so that with {self.confidence:.0%} confidence at most "
            f"{self.at_most:.0%} of buyers like the observed ones are missed."
        )

    def price(self, priced: Priced, threshold: float) -> Price:
        """Return what the promise costs: above all, how many members it flags."""
        found = Price.of(priced, threshold)
        # Of the misses that the rule allowed: where scores are tied it missed fewer, by luck and not by promise.
        bound = self.bound(max(found.missed, self.misses_allowed(found.buyers)), found.buyers)
        text = (
            f"With {self.confidence:.0%} confidence at most {bound:.1%} of buyers like these are missed; the price: it "
            f"flags {found.flagged:.0%} of all members."
        )
        return replace(found, bound=bound, sentence=text)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values."""
        return asdict(self)


def decision_from(kind: str, parameters: dict[str, Any]) -> Decision:
    """Rebuild a decision from what a bundle keeps of it.

    Raises
    ------
    InputError
        If the kind is unknown.
    """
    if kind == "capacity":
        within = parameters.get("not_contacted_within")
        quiet = None if within is None else timedelta(microseconds=int(within))
        return Capacity(parameters.get("n"), parameters.get("share"), parameters.get("per_account"), quiet)
    if kind == "costs":
        return Costs(**parameters)
    if kind == "miss_rate":
        return MissRate(**parameters)
    raise InputError(f"The decision {kind!r} is unknown; this version knows capacity, costs and miss_rate.")
