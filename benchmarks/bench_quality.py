"""How the parts of the learner do on travel's validation windows, all of them before the test period.

Run: make bench, or python benchmarks/bench_quality.py. Prints average precision and log loss per window and their means.
"""

from pathlib import Path

import lightgbm as lgb
import numpy as np
from sklearn.metrics import average_precision_score, log_loss

import leadlight as ll
from leadlight.estimators.parts import SMALL, fit_linear
from leadlight.kernels.linear import linear_margin, sigmoid

TRAVEL = Path(__file__).parents[1] / "data" / "travel"
WINDOWS = (
    ("2013-09-01", "2013-12-01", "2014-06-01"),
    ("2014-03-01", "2014-06-01", "2014-12-01"),
    ("2014-09-01", "2014-12-01", "2015-06-01"),
    ("2015-03-01", "2015-06-01", "2015-12-01"),
)
"""Training matures by the first date; validation cutoffs lie from the second to the third."""

STOCK = {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20, "max_bin": 255}


def trees(settings, rounds):
    """Return a scorer of boosted trees alone."""

    def score(X, y, groups, times, later):
        fixed = {"objective": "binary", "verbosity": -1, "seed": 0, "deterministic": True, "num_threads": 2}
        booster = lgb.train({**fixed, **settings}, lgb.Dataset(X.to_numpy(float), y), rounds)
        return booster.predict(later.to_numpy(float))

    return score


def ridge(X, y, groups, times, later):
    """Score by the linear part alone."""
    part = fit_linear(X.to_numpy(float), y.astype(float), np.ones(len(y)), 0.02)
    return sigmoid(linear_margin(np.ascontiguousarray(later.to_numpy(float)), *part.arrays, part.intercept))


def blend(X, y, groups, times, later):
    """Score by LeadClassifier as it ships."""
    model = ll.LeadClassifier(n_jobs=2).fit(X, y, groups=groups, times=times)
    return model.predict_proba(later)[:, 1]


SCORERS = {
    "trees, stock": trees(STOCK, 100),
    "trees, small": trees(SMALL, 160),
    "ridge": ridge,
    "LeadClassifier": blend,
}


def main() -> None:
    """Print the table."""
    community = ll.read_stackexchange(TRAVEL)
    rows = ll.observe(community, every="30d", horizon="90d", enters_on="question", end="2015-12-01")
    plan = ll.QUESTION_COMMUNITY.compile(community, "2013-09-01")
    results = {name: [] for name in SCORERS}
    for until, start, stop in WINDOWS:
        train, later = rows.split(until, start)
        later = later.take(later.cutoff_us < np.datetime64(stop, "us").astype(np.int64))
        X, X_later = (ll.build_features(community, part, plan) for part in (train, later))
        y, y_later = train.label.to_numpy(int), later.label.to_numpy(int)
        print(f"until {until}: {y.sum()} positive rows to train on, {y_later.sum()} to judge by", flush=True)
        for name, scorer in SCORERS.items():
            p = scorer(X, y, train.groups, train.cutoff_us, X_later)
            results[name].append((average_precision_score(y_later, p), log_loss(y_later, p)))
    print(f"\n{'':16s}{'average precision per window':36s}{'mean':>8s}{'log loss':>10s}")
    for name, found in results.items():
        precision, loss = np.array(found).T
        print(
            f"{name:16s}{'  '.join(f'{v:.3f}' for v in precision):36s}{precision.mean():8.3f}{loss.mean():10.4f}"
        )


if __name__ == "__main__":
    main()
