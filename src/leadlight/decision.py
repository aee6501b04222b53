"""The rule from probability to `qualified`: a capacity, costs, or a bound on missed buyers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from leadlight.errors import InputError
from leadlight.moments import Duration, duration_us

Values = NDArray[np.float64]


class Decision(Protocol):
    """What `LeadQualifier` asks of a decision."""

    kind: ClassVar[str]
    needs_holdout: ClassVar[bool]

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return the probability from which a member is qualified."""

    def describe(self, threshold: float) -> str:
        """Return one sentence."""

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

    def threshold(self, latest: Values, buyers: Values | None) -> float:
        """Return the score of the last member that fits."""
        if not len(latest):
            return float("nan")
        count = self.n if self.n is not None else max(1, round((self.share or 0.05) * len(latest)))
        return float(np.sort(latest)[::-1][min(count, len(latest)) - 1])

    def describe(self, threshold: float) -> str:
        """Return one sentence."""
        size = (
            f"the {self.n} best-scored members"
            if self.n is not None
            else f"the best-scored {self.share or 0.05:.0%}"
        )
        return f"Qualified: {size}, as of the latest training date a probability of {threshold:.2%} or more."

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
        Of the exact binomial (Clopper-Pearson) bound, on one row per buyer of the latest mature window, held back from
        fitting. It covers buyers exchangeable with those: not drift, and not buyers whom nobody approached.
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
            bound = float(beta.ppf(self.confidence, misses + 1, buyers - misses))
            if bound > self.at_most:
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
        count = 0 if buyers is None else len(buyers)
        allowed = self.misses_allowed(count)
        if buyers is None or allowed < 0:
            raise InputError(
                f"{count} buyers in the held-back window cannot support 'at most {self.at_most:.0%} missed at "
                f"{self.confidence:.0%} confidence'; it needs at least {self.buyers_needed}. Use Capacity, or wait."
            )
        return float(np.sort(buyers)[allowed])

    def describe(self, threshold: float) -> str:
        """Return one sentence."""
        return (
            f"Qualified: a probability of {threshold:.2%} or more, so that with {self.confidence:.0%} confidence at most "
            f"{self.at_most:.0%} of buyers like the observed ones are missed."
        )

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
