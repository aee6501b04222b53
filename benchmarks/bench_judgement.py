"""Whether the judge can be trusted, on simulated communities whose truth is known.

Run: make bench, or python benchmarks/bench_judgement.py. Prints how often 95 % intervals hold the figure of the population in
redraws of its accounts (plain percentiles of the same draws beside them), for two fitted models: on the later rows of
their own community, where one account may carry much of a figure, and on those of seven communities together. Then
what two random alerters differ by in weeks of warning, and the four views of one population beside the truth.
"""

import platform
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd

import leadlight as ll
from leadlight.evaluation.baselines import baseline_score
from leadlight.evaluation.judge import SCALES, UNSEEN, Judge, tabulate
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.evaluation.redraws import Redraws
from leadlight.evaluation.views import VIEWS, judge_views, view_weights
from leadlight.evaluation.warning import Demand, new_alerts
from leadlight.simulate import SimulationParameters

CATALOGUE = ll.Catalogue(
    [
        ll.Behaviour(
            "asks and answers",
            tuple(ll.Count(a, window=("30d", "90d")) for a in ("question", "answer", "post", "comment")),
            reason="asked {question_count_30d:question|questions} in 30 days",
            points=ll.plan.HandSetPoints(6, (("question_count_30d", 1.0), ("post_count_30d", 0.7), ("comment_count_30d", 0.3)), 60),
        ),
        ll.Behaviour(
            "reads",
            (*(ll.Count(a, window=("30d", "90d")) for a in ("view", "search", "download")), ll.Recency("view")),
            reason="viewed {view_count_30d:page|pages} in 30 days",
            points=ll.plan.HandSetPoints(1, (("search_count_30d", 1.0), ("download_count_30d", 4.0), ("view_count_30d", 0.2)), 60),
        ),
        ll.Behaviour(
            "connects and forwards",
            tuple(ll.Count(a, window=("30d", "90d")) for a in ("connect", "invite", "forward")),
            reason="forwarded {forward_count_30d:page|pages} in 30 days",
            points=ll.plan.HandSetPoints(6, (("forward_count_30d", 1.3), ("invite_count_30d", 1.0), ("connect_count_30d", 0.5)), 60),
        ),
    ],
    "judgement",
)  # fmt: skip
MODELS = ("logistic", "points")
METRICS = ("average_precision", "auc", "buyers_reached", "buyers_missed", "false_negatives")
SHARE = 0.05
BUSY = SimulationParameters(score_contacts=0.05, random_contacts=0.02)
MORE = range(101, 106)
"""Seeds of further communities with the mechanism of the judged ones."""


def prepared(members, seed, parameters, every):
    """Return a community, its truth and later rows, and a dict of its plan and of features and labels of both parts."""
    community, truth = ll.simulate_community(members, 100, seed, parameters=parameters)
    train, rows = ll.observe(community, every=every).split("2025-03-01", "2025-03-01")
    rows = rows.labelled()
    plan = CATALOGUE.compile(community, "2024-12-01")
    X, X_rows = ll.build_features(community, train, plan), ll.build_features(community, rows, plan)
    parts = {"plan": plan, "train": (X, train.label.to_numpy(float)), "X": X_rows}
    parts |= {
        "y": rows.label.to_numpy(float),
        "account": pd.factorize(rows.groups)[0],
        "cutoff": rows.cutoff_us,
    }
    return community, truth, rows, parts


def score(model, parts):
    """Return the scores that points and a ridge fitted on the earlier rows of `model` give the later rows of `parts`."""
    X, y = model["train"]
    found = {n: baseline_score(n, model["plan"], (X, y, np.ones(len(y))), parts["X"]) for n in MODELS}
    return {"leadlight": found["logistic"], "points": found["points"]}


def scored(members, seed, parameters, every):
    """Return a community, its truth, its later rows, and their scores."""
    community, truth, rows, parts = prepared(members, seed, parameters, every)
    return community, truth, rows, score(parts, parts)


def population(model, communities):
    """Return the later rows of several communities as one population: labels, accounts, cutoffs, scores."""
    first = np.cumsum([0, *(int(c["account"].max()) + 1 for c in communities)])
    y, cutoff = (np.concatenate([c[name] for c in communities]) for name in ("y", "cutoff"))
    account = np.concatenate([c["account"] + at for c, at in zip(communities, first, strict=False)])
    scores = [score(model, c) for c in communities]
    return y, account, cutoff, {name: np.concatenate([s[name] for s in scores]) for name in scores[0]}


def judged(y, groups, cutoff, tie, scores, rounds, seed):
    """Return the judge of some rows."""
    chosen = {name: top_share(score, cutoff, SHARE, tie) for name, score in scores.items()}
    return Judge(y, Redraws(groups, rounds, seed), scores, chosen, np.full(len(y), 0.01), tie)


def coverage(y, account, cutoff, scores, redraws=200, rounds=200, buyers=36):
    """Redraw accounts of a population, some `buyers` of them positive, and count how often intervals hold its figures."""
    order = np.argsort(account, kind="stable")
    count = int(account.max()) + 1
    starts = np.searchsorted(account[order], np.arange(count + 1))
    drawn = round(count * buyers / len(np.unique(account[y > 0])))
    tie = np.random.default_rng(0).permutation(len(y))
    truth = judged(y, account, cutoff, tie, scores, 0, 0).figures()
    rng = np.random.default_rng(1)
    lines = []
    for k in range(redraws):
        chosen = rng.integers(0, count, drawn)
        at = np.concatenate([order[starts[a] : starts[a + 1]] for a in chosen])
        groups = np.repeat(np.arange(drawn), starts[chosen + 1] - starts[chosen])
        sample = {name: score[at] for name, score in scores.items()}
        judge = judged(y[at], groups, cutoff[at], rng.permutation(len(at)), sample, rounds, k)
        figures, evidence = judge.figures(), judge.evidence()
        table = tabulate(figures, evidence, float(judge.buyers()[0]), float(y[at].sum()) / evidence)
        for metric in METRICS:
            times = drawn / count if SCALES[metric] == "count" else 1.0
            own, points = (truth[name][metric][0] * times for name in scores)
            draws = [figures[name][metric] for name in scores]
            rows = [table.loc[(name, metric), ["low", "high"]] for name in scores]
            rows.append(table.loc[("points", metric), ["difference_low", "difference_high"]])
            cases = zip(
                ("ridge", "points", "difference"),
                (own, points, own - points),
                (*draws, draws[0] - draws[1]),
                rows,
                strict=True,
            )
            for name, target, drawn_figures, (low, high) in cases:
                plain_low, plain_high = np.nanpercentile(drawn_figures[1:], [2.5, 97.5])
                lines.append(
                    {
                        "figure": metric,
                        "of": name,
                        "population": target,
                        "mean": drawn_figures[0],
                        "covered": low <= target <= high,
                        "too high": low > target,
                        "too low": high < target,
                        "width": high - low,
                        "percentiles cover": plain_low <= target <= plain_high,
                        "their width": plain_high - plain_low,
                    }
                )
    return pd.DataFrame(lines).groupby(["figure", "of"], sort=False).mean()


def largest(y, account, cutoff, scores):
    """Return the share of the average precision of each model that a single account carries."""
    figures = judged(y, account, cutoff, np.arange(len(y)), scores, 0, 0).figures()
    shares = {name: found[UNSEEN[1]].max() / found["average_precision"][0] for name, found in figures.items()}
    return ", ".join(
        f"{shares[name]:.0%} of {label}" for name, label in (("leadlight", "ridge"), ("points", "points"))
    )


def alerters(community, rows, pairs=200):
    """Return the mean difference in weeks of warning between two random alerters, and its standard error."""
    demand = Demand.of(community, rows, Redraws(rows.groups, 0, 0).codes)
    member, cutoff = rows.frame["member_id"].to_numpy(object), rows.cutoff_us
    budget = max(1, round(SHARE * len(rows) / len(np.unique(cutoff))))
    rng = np.random.default_rng(2)
    means = [
        demand.lead(new_alerts(rng.random(len(rows)), cutoff, member, budget)).mean()
        for _ in range(2 * pairs)
    ]
    gap = np.array(means[::2]) - np.array(means[1::2])
    return pd.DataFrame(
        {
            "buyers": [len(demand.account)],
            "pairs": pairs,
            "weeks of one": np.mean(means),
            "mean difference": gap.mean(),
            "standard error": gap.std(ddof=1) / np.sqrt(pairs),
            "largest": np.abs(gap).max(),
        }
    ).set_index("buyers")


def views(community, truth, rows, scores):
    """Return base rates and what points and the ridge miss in each view, and by the truth."""
    y, tie = rows.label.to_numpy(float), tie_order(rows.frame["member_id"])
    weights, notes = view_weights(community, rows)
    found = judge_views(judged(y, rows.groups, rows.cutoff_us, tie, scores, 200, 0), weights, notes)
    lines = [_line(v, found[found["view"] == v].set_index(["model", "metric"])["value"]) for v in VIEWS]
    would = np.zeros(len(rows))
    for cutoff, at in ll.observations.cutoff_iterator(rows):
        known = truth.at(cutoff, "90d").set_index("member_id")["would_buy"]
        would[at] = known.reindex(rows.frame["member_id"].iloc[at]).to_numpy(float)
    hidden = judged(would, rows.groups, rows.cutoff_us, tie, scores, 2, 0)
    values = judge_views(hidden, {**weights, VIEWS[0]: np.ones(len(rows))}, notes)
    values = values[values["view"] == VIEWS[0]].set_index(["model", "metric"])["value"]
    lines.append(_line("truth (would buy if approached)", values))
    return pd.DataFrame(lines).set_index("view")


def _line(view, values):
    line = {"view": view}
    line |= {name: values[("population", name)] for name in ("rows", "positives", "buyers", "base_rate")}
    for model, name in (("points", "points"), ("leadlight", "ridge")):
        line[f"recall of {name}"] = 1 - values.get((model, "missed_share"), np.nan)
        line[f"AUC of {name}"] = values.get((model, "auc"), np.nan)
    return line


def _print(title, table):
    text = table.reset_index().map(lambda v: f"{v:.4g}" if isinstance(v, float) else str(v))
    print(f"\n{title}\n\n| {' | '.join(text.columns)} |\n|{'---|' * len(text.columns)}")
    for row in text.to_numpy():
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore", ll.errors.LeadlightWarning)
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "pandas", "scipy"))
    print(f"{platform.machine()}, Python {sys.version.split()[0]}, {packages}", flush=True)
    began = time.perf_counter()
    parts = {}
    for seed in (41, 57):
        community, _, rows, parts[seed] = prepared(40_000, seed, BUSY, "60d")
        if seed == 41:
            _print("Two independent random alerters, weeks of warning", alerters(community, rows))
    more = [*parts.values(), *(prepared(40_000, seed, BUSY, "60d")[3] for seed in MORE)]
    for seed, model in parts.items():
        for name, communities in (("its own community", [model]), (f"{len(more)} communities", more)):
            people = population(model, communities)
            title = f"95 % intervals in 200 redraws of 36 buyers: models of seed {seed}, later rows of {name}"
            held = f"{len(people[0])} rows, {people[0].sum():.0f} positive; one account carries {largest(*people)}"
            _print(f"{title} ({held})", coverage(*people))
    some = SimulationParameters(score_contacts=0.004, random_contacts=0.004)
    community, truth, rows, scores = scored(20_000, 43, some, "30d")
    _print(f"Four views of {rows!r}", views(community, truth, rows, scores))
    print(f"\n({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
