"""What colleagues, learned topics and a filter of the hidden buying stage add, each after the other, on the same rows.

Run: python benchmarks/bench_stage.py [--cases "travel;markov;other"] [--seeds 401]. Simulated communities (both laws of
time) are judged by who would have bought; travel by its validation windows, where nobody has an account and no topic is found,
so that the filter stands alone.

The filter has two states, buying and not. What a week says is a ridge logistic regression of "a week of the month before a
cutoff from which a deal was won" on the week's counts, fitted without the account that is filtered; the two chances to change
state and how much a week counts are chosen by out-of-fold log loss.
"""

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from quality.communities import TRAVEL, of_truth
from scipy.special import logit
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import leadlight as ll
from leadlight.behaviours import Behaviour, Catalogue, Count
from leadlight.estimators.calibration import fit_sigmoid
from leadlight.estimators.ridge import fit_linear
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.kernels.linear import sigmoid
from leadlight.observations import Observations
from leadlight.qualifier.colleagues import with_colleagues
from leadlight.qualifier.selection import choose, training_weight
from leadlight.qualifier.topics import telling_tags

Values = NDArray[np.float64]

WEEK_US, WEEKS, TAUGHT = 7 * 86_400_000_000, 16, 4
"""Weeks that are filtered, and those of them next to the cutoff that teach what a week of a buyer looks like."""

FOLDS, STRENGTH = 5, 0.02
OTHERS = 0.2
"""Accounts without a deal that are learned from and judged by, as a share; they weigh the more."""

CHANGES = tuple(itertools.product((0.25, 0.5, 1.0), (0.003, 0.01), (0.04, 0.1, 0.2)))
"""How much a week counts, the chance to begin to buy, and the chance to cease."""


@dataclass
class Rows:
    """Rows of one side of a split."""

    observations: Observations
    X: Values
    y: Values
    weight: Values

    @property
    def groups(self) -> NDArray[np.object_]:
        return self.observations.groups.astype(str)


def thinned(observations: Observations, keep: NDArray[np.bool_], seed: int) -> tuple[Observations, Values]:
    """Return the accounts that must stay and a draw of the others, whose rows weigh the more."""
    groups = pd.Series(observations.groups.astype(str))
    stays = groups.isin(set(groups[keep])).to_numpy()
    names = np.unique(groups[~stays])
    drawn = np.random.default_rng(seed).random(len(names)) < OTHERS
    other = groups.isin(set(names[drawn])).to_numpy() & ~stays
    used = stays | other
    return observations.take(used), np.where(other, 1.0 / OTHERS, 1.0)[used]


def weekly(catalogue: Catalogue) -> Catalogue:
    """Return a catalogue of last week's counts: of whatever the given one counts, without colleagues."""
    features = dict.fromkeys(
        Count(f.action, "7d", f.side, f.by, f.top, f.only, f.same_domain, f.total)
        for behaviour in catalogue
        for f in behaviour.features
        if type(f) is Count
    )
    return Catalogue([Behaviour("last week", tuple(features), reason="did something")])


class Filter:
    """Two states, learned on training rows; see the head of this file."""

    def __init__(
        self, community: ll.Community, train: Rows, catalogue: Catalogue, until: int, seed: int
    ) -> None:
        self.community, self.plan = community, weekly(catalogue).compile(community, until)
        names, codes = np.unique(train.groups, return_inverse=True)
        fold = np.random.default_rng(seed).integers(FOLDS, size=len(names))[codes]
        weeks = [self._week(train.observations, k) for k in range(WEEKS)]
        X, y = np.vstack(weeks[:TAUGHT]), np.tile(train.y, TAUGHT)
        weight, folds = np.tile(train.weight, TAUGHT), np.tile(fold, TAUGHT)
        self.usual = logit(np.average(train.y, weights=train.weight))
        says = np.empty((len(train.y), WEEKS))
        for k in range(FOLDS):
            learned = fit_linear(X[folds != k], y[folds != k], weight[folds != k], STRENGTH)
            rows = np.flatnonzero(fold == k)
            for week, values in enumerate(weeks):
                says[rows, week] = learned.margin(np.ascontiguousarray(values[rows])) - self.usual
        self.week = fit_linear(X, y, weight, STRENGTH)
        self.change = min(CHANGES, key=lambda c: self._loss(says, c, train))
        self.columns = self._columns(says, train)

    def apply(self, rows: Rows) -> Values:
        """Return the columns of other rows."""
        says = [self.week.margin(self._week(rows.observations, k)) - self.usual for k in range(WEEKS)]
        return self._columns(np.stack(says, axis=1), rows)

    def _week(self, observations: Observations, back: int) -> Values:
        frame = observations.frame[["member_id"]].assign(
            cutoff=observations.frame["cutoff"] - pd.Timedelta(back * WEEK_US, "us")
        )
        found = ll.build_features(self.community, Observations.from_frame(frame), self.plan)
        return np.ascontiguousarray(found.to_numpy(np.float64))

    def _forward(self, says: Values, change: tuple[float, float, float]) -> Values:
        """Return the log-odds of buying at the end of each week, oldest first."""
        trust, begin, cease = change
        p, found = np.full(len(says), begin / (begin + cease)), np.empty_like(says)
        for k in range(WEEKS):
            p = p * (1 - cease) + (1 - p) * begin
            odds = logit(np.clip(p, 1e-9, 1 - 1e-9)) + np.clip(trust * says[:, WEEKS - 1 - k], -4, 4)
            found[:, k], p = odds, sigmoid(odds)
        return found

    def _loss(self, says: Values, change: tuple[float, float, float], train: Rows) -> float:
        score = self._forward(says, change)[:, -1]
        line = fit_sigmoid(score, train.y, train.weight, train.groups)
        p = sigmoid(line.slope * score + line.intercept)
        return float(log_loss(train.y, p, sample_weight=train.weight))

    def _columns(self, says: Values, rows: Rows) -> Values:
        """Now, highest, rise over four weeks; and the expected number of buying colleagues."""
        odds = self._forward(says, self.change)
        account = rows.observations.frame["account_id"]
        at = pd.MultiIndex.from_arrays([pd.factorize(account)[0], rows.observations.cutoff_us])
        codes = at.factorize()[0]
        p = sigmoid(odds[:, -1])
        colleagues = np.where(account.notna(), np.bincount(codes, p)[codes] - p, np.nan)
        return np.column_stack([odds[:, -1], odds.max(axis=1), odds[:, -1] - odds[:, -5], colleagues])


def simulated(seed: int, markov: bool) -> dict[str, dict[str, float]]:
    """Return the figures of a community, without and with the filter."""
    community, truth = ll.simulate_community(20_000, 130, seed, markov=markov)
    every = ll.observe(community, every="60d", horizon="90d")
    train, test = every.split("2025-10-01", "2025-10-01")
    until = int(train.cutoff_us.max())
    train, more = thinned(train, (train.frame["label"] == 1).to_numpy(), seed)
    buys = of_truth(truth, test, "would_buy").astype(float)
    test, test_weight = thinned(test, buys == 1, seed)
    buys = of_truth(truth, test, "would_buy").astype(float)
    label, share, _ = with_colleagues(train, train.frame["label"].to_numpy(float))
    weight = training_weight(choose("auto", train), train, label, share) * more
    named = train.frame["label"].to_numpy(float)
    alone = training_weight(choose("auto", train), train, named) * more
    plain, topics = ll.CORPORATE_COMMUNITY, telling_tags(community, train, label)
    marked = plain.with_buying_tags(*topics, points=False) if topics else plain
    later = (test, buys, test_weight)
    found = compared(community, plain, until, (train, named, alone), later, ("whom deals name",))
    found |= compared(community, plain, until, (train, label, weight), later, ("by account",))
    both = ("by account, learned topics", "by account, learned topics, filter")
    return found | compared(community, marked, until, (train, label, weight), later, both)


def travel() -> dict[str, dict[str, list[float]]]:
    """Return the figures of each of travel's validation windows."""
    from quality.case import ROOT

    community = ll.read_stackexchange(ROOT / "data" / "travel")
    windows = TRAVEL._windows["validation"]
    every = ll.observe(community, every="30d", horizon="90d", enters_on="question", end=windows[-1][2])
    found: dict[str, dict[str, list[float]]] = {}
    for until, start, stop in windows:
        train, test = every.split(until, start)
        test = test.take(test.cutoff_us < np.datetime64(stop, "us").astype(np.int64)).labelled()
        parts = [(r, r.frame["label"].to_numpy(float), r.weight) for r in (train, test)]
        parts[1] = (*parts[1][:2], np.ones(len(test)))
        names = ("catalogue", "filter")
        result = compared(community, ll.QUESTION_COMMUNITY, int(train.cutoff_us.max()), *parts, names)
        for name, figures in result.items():
            for metric, value in figures.items():
                found.setdefault(name, {}).setdefault(metric, []).append(value)
    return found


def compared(
    community: ll.Community,
    catalogue: Catalogue,
    until: int,
    train: tuple[Observations, Values, Values],
    test: tuple[Observations, Values, Values],
    names: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """Fit on the catalogue's columns and, under a second name, on those of the filter beside them."""
    plan = catalogue.compile(community, until)

    def rows(part: tuple[Observations, Values, Values]) -> Rows:
        return Rows(part[0], ll.build_features(community, part[0], plan).to_numpy(np.float64), *part[1:])

    known, later = rows(train), rows(test)
    columns = [(known.X, later.X)]
    if len(names) > 1:
        stage = Filter(community, known, catalogue, until, seed=0)
        columns.append((np.hstack([known.X, stage.columns]), np.hstack([later.X, stage.apply(later)])))
    found = {}
    for name, (X, X_later) in zip(names, columns, strict=True):
        fitted = ll.LeadClassifier().fit(
            X, known.y, sample_weight=known.weight, groups=known.groups, times=known.observations.cutoff_us
        )
        found[name] = figures(fitted.decision_function(X_later), later)
    return found


def figures(score: Values, rows: Rows) -> dict[str, float]:
    """Average precision, AUC, and the share of buyers missed below the best 5 % of each cutoff."""
    tie = tie_order(pd.Series(rows.observations.frame["member_id"]))
    # The rows that were left out stand where those that were drawn do.
    repeats = np.repeat(np.arange(len(score)), rows.weight.astype(int))
    top = top_share(score[repeats], rows.observations.cutoff_us[repeats], 0.05, tie[repeats])
    bought = rows.y[repeats] == 1
    return {
        "average precision": float(average_precision_score(rows.y, score, sample_weight=rows.weight)),
        "AUC": float(roc_auc_score(rows.y, score, sample_weight=rows.weight)),
        "missed": float((bought & ~top).sum() / bought.sum()),
    }


def main() -> None:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument("--cases", default="travel;markov;other", help="'other' is the law that is not Markov")
    found.add_argument("--seeds", default="401")
    given = found.parse_args()
    cases, seeds = given.cases.split(";"), [int(seed) for seed in given.seeds.split(",")]
    print("| case | | average precision | AUC | missed at 5 % |")
    print("|---|---|---|---|---|", flush=True)

    def lines(case: str, result: dict[str, dict[str, float]]) -> None:
        for name, one in result.items():
            print(f"| {case} | {name} | {' | '.join(f'{value:.3f}' for value in one.values())} |", flush=True)

    if "travel" in cases:
        result = travel()
        for k in range(len(TRAVEL._windows["validation"])):
            window = {name: {m: v[k] for m, v in one.items()} for name, one in result.items()}
            lines(f"travel, window {k + 1}", window)
    for law in ("markov", "other"):
        for seed in seeds if law in cases else ():
            lines(f"simulated, {law}, seed {seed}", simulated(seed, law == "markov"))


if __name__ == "__main__":
    main()
