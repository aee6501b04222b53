"""Cases made of event logs: two Stack Exchange sites and the simulated community, with the features of our catalogues."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from quality.case import ROOT, Case, Draw, Rows, Source, Table

import leadlight as ll
from leadlight.observations import Observations
from leadlight.plan import Plan
from leadlight.simulate import Truth

Window = tuple[str, str, str]
"""Training windows end by the first date; test cutoffs lie from the second to before the third."""


class Site(Source):
    """First accepted answer within 90 days, by members who have asked; cutoffs every 30 days."""

    def __init__(self, name: str, validation: tuple[Window, ...], judge: Window) -> None:
        self.name, self._windows = name, {"validation": validation, "judge": (judge,)}

    def case_names(self, period: str) -> list[str]:
        return [self.name]

    def write(self, period: str, folder: Path, wanted: Iterable[str]) -> list[Case]:
        windows = self._windows[period]
        community = ll.read_stackexchange(ROOT / "data" / self.name)
        rows = ll.observe(community, every="30d", horizon="90d", enters_on="question", end=windows[-1][2])
        # The plan knows the words of the log before the first training ends.
        plan = ll.QUESTION_COMMUNITY.compile(community, windows[0][0])
        draws = []
        for until, start, stop in windows:
            train, later = rows.split(until, start)
            later = later.take(later.cutoff_us < np.datetime64(stop, "us").astype(np.int64)).labelled()
            table = Table.write(folder / start, _rows(community, train, plan), _rows(community, later, plan))
            table.draw("all", _rows(community, train, plan).outcome())
            draws.append(Draw(table, "all"))
        return [Case(self.name, "first accepted answer within 90 days, later windows", tuple(draws))]


TRAVEL = Site(
    "travel",
    (
        ("2013-09-01", "2013-12-01", "2014-06-01"),
        ("2014-03-01", "2014-06-01", "2014-12-01"),
        ("2014-09-01", "2014-12-01", "2015-06-01"),
        ("2015-03-01", "2015-06-01", "2015-12-01"),
    ),
    ("2016-03-01", "2016-06-01", "2017-08-27"),
)
BEER = Site("beer", (("2015-03-01", "2015-06-01", "2016-03-01"),), ("2016-03-01", "2016-06-01", "2018-09-02"))


class Simulator(Source):
    """The simulated community; labels of so many won accounts, judged by who would have bought.

    Frozen parameters, 34,000 members, cutoffs every 90 days. The deals of all but some won accounts, drawn at random, are
    forgotten: their training rows are negative, like those of buyers whom nobody approached. The draws of one seed are
    nested. Test rows are of the whole community, open windows included, for the truth goes on after the log.
    """

    name = "simulator"
    MEMBERS, WEEKS = 34_000, 130
    UNTIL = "2025-12-22"
    WON = (10, 20, 40, 80, 120)
    # None of these was used to set the simulator's values or by a test, and no development looks at the judge's.
    SEEDS = {"validation": (301, 302), "judge": (201, 202, 203, 204, 205)}  # noqa: RUF012 - nobody changes it

    def case_names(self, period: str) -> list[str]:
        return [f"{self.name}, {won} won" for won in self.WON]

    def write(self, period: str, folder: Path, wanted: Iterable[str]) -> list[Case]:
        draws: dict[str, list[Draw]] = {name: [] for name in wanted}
        for seed in self.SEEDS[period]:
            community, truth = ll.simulate_community(self.MEMBERS, self.WEEKS, seed)
            rows = ll.observe(community, every="90d", horizon="90d", censored=True)
            train, later = rows.split(self.UNTIL, self.UNTIL)
            plan = ll.CORPORATE_COMMUNITY.compile(community, pd.Timestamp(train.cutoff_us.max(), unit="us"))
            known, judged = _rows(community, train, plan), _rows(community, later, plan)
            table = Table.write(
                folder / str(seed), known, Rows(judged.X, of_truth(truth, later, "would_buy"), judged.group)
            )
            for name, own in draws.items():
                won = int(name.split(", ")[1].split()[0])
                table.draw(str(won), _keep_won(known.outcome(), won, seed))
                own.append(Draw(table, str(won)))
        scored = "labels from closed deals, judged by who would have bought within 90 days if approached"
        return [Case(name, scored, tuple(own)) for name, own in draws.items()]


def of_truth(truth: Truth, rows: Observations, column: str) -> np.ndarray:
    """Return, for each row, whether its account "would_buy" within 90 days if approached at the cutoff, or the "probability"."""
    known = truth.to_pandas(sorted(set(rows.frame["cutoff"])), "90d").set_index(["member_id", "cutoff"])
    return known[column].reindex(rows.index).to_numpy()


def _keep_won(outcome: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return the outcomes as they are where all but `count` won accounts have no deal."""
    won = np.unique(outcome.loc[outcome["label"] == 1, "group"].astype(str))
    kept = np.random.default_rng(seed).permutation(won)[:count]
    lost = ~outcome["group"].isin(kept) & (outcome["label"] == 1)
    # Who won nothing weighs as much as anybody.
    return outcome.assign(label=outcome["label"].mask(lost, 0), weight=outcome["weight"].mask(lost, 1.0))


def _rows(community: ll.Community, rows: Observations, plan: Plan) -> Rows:
    label = np.maximum(rows.frame["label"].to_numpy(), 0)
    X = ll.build_features(community, rows, plan)
    return Rows(X, label, rows.groups.astype(str), rows.cutoff_us, rows.weight)
