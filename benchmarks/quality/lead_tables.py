"""Cases made of lead tables: one row a lead, with columns of text, as they are; whole, and with few positives to learn from."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from quality.case import Case, Draw, Rows, Source, Table

FILLED_IN_LATER = (
    "Tags",
    "Lead Quality",
    "Last Activity",
    "Last Notable Activity",
    "Lead Profile",
    "Asymmetrique Activity Index",
    "Asymmetrique Activity Score",
    "Asymmetrique Profile Index",
    "Asymmetrique Profile Score",
    "How did you hear about X Education",
)
"""Columns of X Education that are filled in after the contact, by common knowledge; the last one in part."""

FEW = (30, 60, 120)
DRAWS = 5


class LeadTable(Source):
    """A lead table, split in time where it has dates.

    With few positives, training rows are drawn at random so that the share of positives stays, five times. The validation
    period splits the judge's training rows once more in the same way, so that it never sees a row that the judge scores.
    """

    file = ""
    scored = ""
    later_share = 0.3

    def __init__(self, leads: Path) -> None:
        self.leads = leads

    def absent(self) -> str | None:
        return (
            None if (self.leads / self.file).exists() else f"{self.file} is not in {self.leads} (see --leads)"
        )

    def case_names(self, period: str) -> list[str]:
        return [self.name, *(f"{self.name}, {count} positive" for count in FEW)]

    def read(self) -> tuple[pd.DataFrame, np.ndarray, np.ndarray | None]:
        """Return features, outcome and time (None where there is none)."""
        raise NotImplementedError

    def write(self, period: str, folder: Path, wanted: Iterable[str]) -> list[Case]:
        X, y, time = self.read()
        place = self._places(len(X), time)
        train, test = self._split(place)
        if period == "validation":
            kept = train
            inner, outer = self._split(place[kept])
            train, test = kept[inner], kept[outer]
        known = Rows(X.iloc[train], y[train], time=None if time is None else time[train])
        table = Table.write(folder / "table", known, Rows(X.iloc[test], y[test]))
        cases = []
        for name in wanted:
            few = None if name == self.name else int(name.split(", ")[1].split()[0])
            draws = []
            for number in range(DRAWS if few else 1):
                outcome = known.outcome() if few is None else _few(known.outcome(), few, number)
                table.draw(f"{few or 'all'} {number}", outcome)
                draws.append(Draw(table, f"{few or 'all'} {number}"))
            cases.append(Case(name, self.scored, tuple(draws)))
        return cases

    def _places(self, count: int, time: np.ndarray | None) -> np.ndarray:
        """Return what rows are ordered by before the split: time, or chance."""
        return np.random.default_rng(0).permutation(count) if time is None else time

    def _split(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions of the first and the later rows; equal places stay together."""
        bound = np.sort(place)[int(len(place) * (1 - self.later_share))]
        return np.flatnonzero(place < bound), np.flatnonzero(place >= bound)


def _few(outcome: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    rng, label = np.random.default_rng(seed), outcome["label"].to_numpy()
    positive, negative = (rng.permutation(np.flatnonzero(label == one)) for one in (1, 0))
    wanted = round(count * len(negative) / len(positive))
    return outcome.iloc[np.sort(np.r_[positive[:count], negative[:wanted]])]


class XEducation(LeadTable):
    """No dates: a random 30 % is put aside for the judge."""

    name = "X Education"
    file = "x_education_leads/Leads.csv"
    scored = "converted; random split, for there are no dates; without the columns that are filled in after the contact"

    def read(self) -> tuple[pd.DataFrame, np.ndarray, np.ndarray | None]:
        frame = pd.read_csv(self.leads / self.file)
        y = frame["Converted"].to_numpy()
        return frame.drop(columns=["Prospect ID", "Lead Number", "Converted", *FILLED_IN_LATER]), y, None


class Olist(LeadTable):
    """Marketing-qualified leads by the day of the first contact, which says nothing but the weekday."""

    name = "Olist"
    file = "olist_funnel/olist_marketing_qualified_leads_dataset.csv"
    scored = "deal closed; later first contacts"

    def read(self) -> tuple[pd.DataFrame, np.ndarray, np.ndarray | None]:
        frame = pd.read_csv(self.leads / self.file)
        deals = pd.read_csv(self.leads / "olist_funnel/olist_closed_deals_dataset.csv", usecols=["mql_id"])
        day = pd.to_datetime(frame["first_contact_date"])
        X = frame[["landing_page_id", "origin"]].assign(weekday=day.dt.day_name())
        y = frame["mql_id"].isin(deals["mql_id"]).astype(int).to_numpy()
        return X, y, day.to_numpy("datetime64[us]").astype(np.int64)


class Bank(LeadTable):
    """Calls in the order in which they were made; how long a call lasted is known after it."""

    name = "bank"
    file = "bank_marketing/bank-additional-full.csv"
    scored = "subscribed; later calls; without duration"

    def read(self) -> tuple[pd.DataFrame, np.ndarray, np.ndarray | None]:
        frame = pd.read_csv(self.leads / self.file, sep=";")
        y = (frame["y"] == "yes").astype(int).to_numpy()
        return frame.drop(columns=["y", "duration"]), y, np.arange(len(frame))
