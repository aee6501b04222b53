"""Whether `MissRate` keeps its promise: redraws of held-back buyers from a simulated community whose buyers are all known.

Run: make bench, or python benchmarks/bench_miss_rate.py. The population that the promise names: the accounts that won in the
latest mature window, each by one of its positive rows, drawn blind. The true miss rate of a threshold is the mean, over all
these accounts, of the share of positive rows below it. A redraw picks buyers from them as `LeadQualifier` does and sets the
threshold; the promise is kept if the true miss rate is at most `at_most`. Prints the share of redraws that keep it with its
exact 95 % interval, beside two thresholds that promise nothing: the empirical quantile, and the best row of each account.
"""

import warnings

import numpy as np

import leadlight as ll
from leadlight.decision import MissRate, binomial_interval, one_row_each
from leadlight.errors import LeadlightWarning
from leadlight.qualifier.holdout import hold_back
from leadlight.simulate import SimulationParameters

MEMBERS, WEEKS, REDRAWS = 20_000, 104, 1_000
BUSY = SimulationParameters(score_contacts=0.1, random_contacts=0.02)
"""Sales that approaches many, so that many accounts win."""

TRAINED, HELD = 3, (4, 5, 6, 7, 8)
"""Seed of the community that the model is fitted on, and those whose latest windows hold the buyers."""

PROMISES = ((0.1, 0.9, 22), (0.1, 0.9, 60), (0.2, 0.9, 30), (0.2, 0.9, 100))
"""at_most, confidence, held-back buyers."""


def fitted():
    """Return a qualifier, fitted on all but the latest window of its community."""
    community, _ = ll.simulate_community(MEMBERS, WEEKS, TRAINED, parameters=BUSY)
    train, _ = hold_back(ll.observe(community, every="30d", horizon="90d", start="2024-09-01"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        return ll.LeadQualifier(classifier=ll.LeadClassifier(n_jobs=2)).fit(community, train)


def held_scores(qualifier, seed):
    """Return, of the latest window: scores, which rows are positive, accounts, and who would buy and nobody approached."""
    community, truth = ll.simulate_community(MEMBERS, WEEKS, seed, parameters=BUSY)
    _, held = hold_back(ll.observe(community, every="30d", horizon="90d", start="2024-09-01"))
    score = qualifier.predict_proba(ll.build_features(community, held, qualifier.plan_))[:, 1]
    frame, cutoff = held.frame, held.frame["cutoff"].max()
    would = truth.at(cutoff).query("would_buy")["member_id"]
    unseen = (frame["cutoff"] == cutoff) & (frame["contacted"] == False) & frame["member_id"].isin(would)  # noqa: E712
    group = np.char.add(f"{seed} ", held.groups.astype(str))
    return score, (frame["label"] == 1).to_numpy(bool), group, unseen.to_numpy(bool)


class Population:
    """Accounts that won: the scores of the positive rows of each."""

    def __init__(self, score, group):
        codes = np.unique(group, return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        self.rows = np.split(score[order], np.flatnonzero(np.diff(codes[order])) + 1)
        self.weight = np.concatenate([np.full(len(r), 1 / len(r)) for r in self.rows]) / len(self.rows)
        self.score = np.concatenate(self.rows)

    def missed(self, threshold):
        """Return the true miss rate."""
        return float(self.weight[self.score < threshold].sum())

    def redraw(self, buyers, rng):
        """Return scores and account numbers of buyers drawn at random; an account drawn twice is two buyers."""
        picked = [self.rows[i] for i in rng.integers(0, len(self.rows), buyers)]
        return np.concatenate(picked), np.repeat(np.arange(buyers), [len(r) for r in picked])


def thresholds(rule, score, group, seed):
    """Return the threshold of each method."""
    blind = score[one_row_each(group, seed)]
    best = np.array([score[group == g].max() for g in np.unique(group)])
    return {
        "MissRate": rule.threshold(score, blind),
        "empirical quantile": float(np.quantile(blind, rule.at_most, method="lower")),
        "best row of each": rule.threshold(score, best),
    }


def main() -> None:
    """Print the table."""
    qualifier = fitted()
    parts = [held_scores(qualifier, seed) for seed in HELD]
    score, won, group, unseen = (np.concatenate(part) for part in zip(*parts, strict=True))
    population = Population(score[won], group[won])
    print(
        f"Simulated, {len(HELD)} communities of {MEMBERS:,} members, {WEEKS} weeks: {len(population.rows)} accounts won in "
        f"the latest windows ({int(won.sum())} positive of {len(won):,} rows); {REDRAWS} redraws each"
    )
    print(
        "| promise | buyers | threshold by | kept | 95 % interval | flags | buyers never approached missed |"
    )
    print("|---|---|---|---|---|---|---|")
    for at_most, confidence, buyers in PROMISES:
        rule, rng = MissRate(at_most, confidence), np.random.default_rng(11)
        draws = [thresholds(rule, *population.redraw(buyers, rng), seed) for seed in range(REDRAWS)]
        for name in draws[0]:
            lines = np.array([draw[name] for draw in draws])
            kept = sum(population.missed(line) <= at_most for line in lines)
            low, high = binomial_interval(kept, REDRAWS)
            flags = np.mean([(score >= line).mean() for line in lines])
            hidden = np.mean([(score[unseen] < line).mean() for line in lines])
            print(
                f"| at most {at_most:.0%} at {confidence:.0%} | {buyers} | {name} | {kept / REDRAWS:.3f} | "
                f"{low:.3f} to {high:.3f} | {flags:.0%} | {hidden:.0%} |"
            )


if __name__ == "__main__":
    main()
