"""LeadQualifier beside hand-set points, on the simulated community as it comes, judged by who would have bought."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from quality.case import BUILD, all_code
from quality.communities import of_truth
from quality.environments import OURS

import leadlight as ll
from leadlight.evaluation.baselines import baseline_score
from leadlight.evaluation.metrics import Ranking, tie_order, top_share
from leadlight.evaluation.redraws import Redraws, effective, interval

NAME = "capped points"
MEMBERS, WEEKS, EVERY = 20_000, 130, "30d"
UNTIL = "2025-10-01"
"""Training windows end and test cutoffs begin here."""

SHARE, RECALL, ROUNDS = 0.05, 0.3, 500
SCORERS = (OURS, "points", "Bayes")
"""The last knows the hidden stages, and how they go on: the best that anybody could do."""


class Judged:
    """The later rows of one community.

    Attributes
    ----------
    buys, won, never, contacted : bool array of shape (n,)
        Would buy within 90 days if approached at the cutoff. Has the label. Nobody has approached the member by the end of
        the window. Somebody did in the window.
    scores : dict of str to float array of shape (n,)
    top : dict of str to bool array of shape (n,)
        The best-scored of each cutoff.
    won_accounts : int
        Whose deals were learned from.
    """

    def __init__(self, rows: pd.DataFrame, seed: int) -> None:
        self.buys, self.won, self.never, self.contacted = (
            rows[name].to_numpy(bool) for name in ("buys", "won", "never", "contacted")
        )
        self.scores = {name: rows[name].to_numpy(float) for name in SCORERS}
        tie, cutoff = tie_order(rows["member_id"]), rows["cutoff_us"].to_numpy()
        self.top = {name: top_share(score, cutoff, SHARE, tie) for name, score in self.scores.items()}
        self.redraws = Redraws(rows["group"].to_numpy(object), ROUNDS, seed)
        self.won_accounts = int(rows["won_accounts"].iloc[0])

    @classmethod
    def of(cls, seed: int, threads: int, say: Callable[[str], None]) -> "Judged":
        """Return the rows of a community, those of an earlier run where it was the same version."""
        saved = BUILD / NAME / f"{seed} {all_code(__file__)}.parquet"
        if not saved.exists():
            say(f"capped points, seed {seed}")
            saved.parent.mkdir(parents=True, exist_ok=True)
            fit_and_score(seed, threads).to_parquet(saved)
        return cls(pd.read_parquet(saved), seed)


def fit_and_score(seed: int, threads: int) -> pd.DataFrame:
    """Fit on the earlier rows of a community and score the later ones."""
    community, truth = ll.simulate_community(MEMBERS, WEEKS, seed)
    train, test = ll.observe(community, every=EVERY, horizon="90d").split(UNTIL, UNTIL)
    qualifier = ll.LeadQualifier(classifier=ll.LeadClassifier(n_jobs=threads)).fit(community, train)
    X = ll.build_features(community, test, qualifier.plan_)
    X_train, y_train, weight, _ = qualifier.training_
    first = community.contacts.groupby("member")["contacted_us"].min()
    approached = first.reindex(test.frame["member"]).to_numpy(float)
    return pd.DataFrame(
        {
            "member_id": test.frame["member_id"].to_numpy(),
            "group": test.groups.astype(str),
            "cutoff_us": test.cutoff_us,
            "buys": of_truth(truth, test, "would_buy"),
            "won": test.label.to_numpy(bool),
            "never": ~(approached < test.cutoff_us + test.windows.reach_us),
            "contacted": (test.frame["contacted"] == True).to_numpy(bool),  # noqa: E712 - None is not True
            "Bayes": of_truth(truth, test, "probability"),
            OURS: qualifier.predict_proba(X)[:, 1],
            "points": baseline_score("points", qualifier.plan_, (X_train, y_train, weight), X),
            "won_accounts": pd.unique(train.groups[(train.frame["label"] == 1).to_numpy(bool)]).size,
        }
    )


def table(seeds: Sequence[int], threads: int, say: Callable[[str], None]) -> list[str]:
    """Return the table: each figure over all communities, with its interval over accounts, beside what must hold."""
    found = [Judged.of(seed, threads, say) for seed in seeds]
    buyers = sum(int(j.buys.sum()) for j in found)
    unseen = sum(int((j.buys & j.never).sum()) for j in found)
    asked = sum(int(j.contacted.sum()) for j in found)
    lines = [
        "\n## Simulated, against capped points\n",
        f"LeadQualifier as it ships on {len(found)} communities of {MEMBERS:,} members with "
        f"{', '.join(str(j.won_accounts) for j in found)} won accounts to learn from; judged on later cutoffs by who would have "
        f"bought: {buyers:,} rows of buyers, {unseen:,} of them never approached. Observed/expected: {asked:,} rows that were "
        "approached in their window, by closed deals.\n",
        "| | leadlight | points | Bayes | | 95 % | must hold | held |",
        "|---|---|---|---|---|---|---|---|",
    ]
    accounts = sum(_accounts(j, j.buys) for j in found)
    missed = {n: _total(found, lambda j, n=n: j.redraws.sums(1.0 * (j.buys & ~j.top[n]))) for n in SCORERS}
    fewer = 1 - missed[OURS] / missed["points"]
    lines.append(_line(f"missed buyers at {SHARE:.0%}", missed, fewer, "fewer", accounts, low=0.34))
    lost = {n: _total(found, lambda j, n=n: _accounts_missed(j, n)) for n in SCORERS}
    fewer = 1 - lost[OURS] / lost["points"]
    lines.append(_line("the same, accounts of buyers missed throughout", lost, fewer, "fewer", accounts))
    alarms = {n: _total(found, lambda j, n=n: _alarms(j, n)) for n in SCORERS}
    fewer = 1 - alarms[OURS] / alarms["points"]
    lines.append(_line(f"false alarms at {RECALL:.0%} recall", alarms, fewer, "fewer", accounts, low=0.89))
    hidden = _total(found, lambda j: j.redraws.sums(1.0 * (j.buys & j.never)))
    reached = {
        n: _total(found, lambda j, n=n: j.redraws.sums(1.0 * (j.buys & j.never & j.top[n]))) / hidden
        for n in SCORERS
    }
    never = sum(_accounts(j, j.buys & j.never) for j in found)
    lines.append(
        _line(
            "recall of buyers never approached",
            reached,
            reached[OURS],
            "",
            never,
            low=0.38,
            share=True,
        )
    )
    ratio = _total(found, lambda j: j.redraws.sums(j.won * j.contacted)) / _total(
        found, lambda j: j.redraws.sums(j.scores[OURS] * j.contacted)
    )
    bought = sum(_accounts(j, (j.won > 0) & j.contacted) for j in found)
    lines.append(_line("observed/expected, approached", {}, ratio, "", bought, low=0.9, high=1.1))
    return lines


def _total(found: list[Judged], part: Callable[[Judged], np.ndarray]) -> np.ndarray:
    return np.sum([part(j) for j in found], axis=0)


def _alarms(j: Judged, name: str) -> np.ndarray:
    ranking = Ranking(j.scores[name], j.buys.astype(float))
    found = ranking.redrawn(j.redraws, recall=np.full(len(j.redraws), RECALL))
    return found["false_positives_at_recall"]


def _accounts_missed(j: Judged, name: str) -> np.ndarray:
    """Count accounts that would have bought and of which no such row was among the top at any cutoff."""
    buys, reached = (j.redraws.per_account(1.0 * rows) > 0 for rows in (j.buys, j.buys & j.top[name]))
    return j.redraws.of_accounts(1.0 * (buys & ~reached))


def _accounts(j: Judged, rows: np.ndarray) -> float:
    held = j.redraws.per_account(rows.astype(float))
    return effective(held[held > 0])


def _line(
    name: str,
    pair: dict[str, np.ndarray],
    draws: np.ndarray,
    word: str,
    accounts: float,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    share: bool = False,
) -> str:
    """Return one line: all scorers, the figure that is judged, its interval, and whether it held."""
    scale = "share" if share else "plain"
    bounds = interval(draws, scale, accounts)
    value = float(draws[0])
    form = "{:.0%}".format if word else "{:.2f}".format
    each = [f"{pair[n][0]:,.2f}" if share else f"{pair[n][0]:,.0f}" for n in pair] or [""] * len(SCORERS)
    must = f"{low:g} to {high:g}" if np.isfinite(high) else f"at least {form(low)}"
    held = "yes" if low <= value <= high else "no"
    if np.isinf(low):
        must = held = ""
    return f"| {name} | {' | '.join(each)} | {form(value)} {word} | {form(bounds[0])} to {form(bounds[1])} | {must} | {held} |"
