"""How many rows each cutoff has, what came of them, and what was left out and why; as a table and as text."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.observations.windows import NOT_LABELLED

OUTCOMES = ("won", "lost", "open", "none")
WITHOUT_LABEL = ("won_in_gap", "window_open", "left_out")
OUTSIDE = ("after_won", "inactive", "not_entered", "employees", "refused")
COLUMNS = ("population", *OUTCOMES, "contacted", *WITHOUT_LABEL, *OUTSIDE)
MOST_LINES = 40
"""Of more cutoffs, the text gives months; of more months, years."""


def count_rows(frame: pd.DataFrame, dropped: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cutoff with `COLUMNS`; population is the sum of the outcomes and of what has no label.

    Parameters
    ----------
    frame : DataFrame
        Rows: cutoff, label, outcome, contacted.
    dropped : DataFrame
        By cutoff, any of the columns for what is not in the rows; what it lacks is 0.
    """
    codes, cutoffs = pd.factorize(frame["cutoff"], sort=True)
    labelled = (frame["label"] != NOT_LABELLED).to_numpy(bool)
    found = {name: labelled & (frame["outcome"] == name).to_numpy(bool) for name in OUTCOMES}
    found["contacted"] = labelled & (frame["contacted"] == True).to_numpy(bool)  # noqa: E712 - True, False, None
    index = pd.DatetimeIndex(cutoffs).union(dropped.index).rename("cutoff")
    table = pd.DataFrame(
        {n: np.bincount(codes[v], minlength=len(cutoffs)) for n, v in found.items()}, index=cutoffs
    )
    table = table.reindex(index, fill_value=0)
    for name in (*WITHOUT_LABEL, *OUTSIDE):
        table[name] = dropped[name].reindex(index, fill_value=0) if name in dropped else 0
    table["population"] = table[[*OUTCOMES, *WITHOUT_LABEL]].sum(axis=1)
    return table[list(COLUMNS)].astype(np.int64)


def open_windows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return by cutoff how many rows have no label."""
    return pd.DataFrame({"window_open": (frame["label"] == NOT_LABELLED).groupby(frame["cutoff"]).sum()})


def left_out(frame: pd.DataFrame, dropped: pd.DataFrame, positions: NDArray[np.int64]) -> pd.DataFrame:
    """Return `dropped` at the cutoffs that keep rows, with the labelled rows that are not taken counted."""
    gone = (frame["label"] != NOT_LABELLED).to_numpy(bool, copy=True)
    gone[positions] = False
    codes, cutoffs = pd.factorize(frame["cutoff"], sort=True)
    kept = np.zeros(len(cutoffs), bool)
    kept[codes[positions]] = True
    more = pd.Series(np.bincount(codes[gone], minlength=len(cutoffs)), index=cutoffs)[kept]
    found = dropped.reindex(more.index, fill_value=0)
    return found.assign(left_out=found.get("left_out", 0) + more)


def display(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the table to show: text cells, a total below, few enough lines, no column of zeros alone but outcomes."""
    shown = [c for c in COLUMNS if c in ("population", *OUTCOMES) or counts[c].any()]
    days = bool((counts.index == counts.index.normalize()).all())
    names = counts.index.strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M")
    if len(counts) > MOST_LINES:
        names = counts.index.strftime("%Y-%m")
        if names.nunique() > MOST_LINES:
            names = counts.index.strftime("%Y")
    table = counts[shown].groupby(names).sum()
    table.loc["total"] = table.sum()
    return table.map("{:,}".format).rename_axis("cutoff")


def as_text(counts: pd.DataFrame, width: int) -> str:
    """Return the table as lines of at most `width` characters; what is not in the population goes below if need be."""
    table = display(counts)
    whole = _lines(table)
    if len(whole[-1]) <= width:
        return "\n".join(whole)
    inside = [c for c in table.columns if c in ("population", *OUTCOMES, "contacted")]
    outside = [c for c in table.columns if c not in inside]
    parts = _blocks(table[inside], width)
    if outside:
        parts.append("Not in these rows:\n" + "\n\n".join(_blocks(table[outside], width)))
    return "\n\n".join(parts)


def _blocks(table: pd.DataFrame, width: int) -> list[str]:
    """Return the table as text, cut between columns as often as the width asks."""
    lines = _lines(table)
    half = table.shape[1] // 2
    if len(lines[-1]) <= width or not half:
        return ["\n".join(lines)]
    return [*_blocks(table.iloc[:, :half], width), *_blocks(table.iloc[:, half:], width)]


def _lines(table: pd.DataFrame) -> list[str]:
    heads = {
        n: textwrap.wrap(n.replace("_", " "), 8, break_long_words=False) for n in map(str, table.columns)
    }
    tall = max(map(len, heads.values()))
    columns = []
    for name, cells in (
        (str(table.index.name), list(table.index)),
        *((c, list(table[c])) for c in table.columns),
    ):
        head = heads.get(name, [name])
        size = max(map(len, [*head, *cells]))
        align = str.rjust if name in heads else str.ljust
        columns.append([align(cell, size) for cell in [*[""] * (tall - len(head)), *head, *cells]])
    lines = ["  ".join(cells) for cells in zip(*columns, strict=True)]
    return [*(line.rstrip() for line in lines[:-1]), "-" * len(lines[-1]), lines[-1]]
