"""What exports of customer systems share: names of columns, money, stages, and rows that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from leadlight.community.reading import open_table
from leadlight.errors import InputError, SchemaError, closest
from leadlight.runtime.showing import folded, paragraph, table

WON, LOST = "won", "lost"
TRUE = frozenset({"true", "yes", "1", "1.0"})
FALSE = frozenset({"false", "no", "0", "0.0"})


@dataclass
class CrmTables:
    """What `Community` needs of an export.

    Attributes
    ----------
    deals : DataFrame
        deal_id, email, domain, outcome ("won", "lost", None for open), opened_at, closed_at, known_at, amount.
    deal_contacts : DataFrame
        deal_id, email: everybody named on a deal. Empty if the export names nobody.
    contacts : DataFrame
        email, contacted_at: approaches by sales. Empty if the export holds none.
    stages : DataFrame
        Each stage, what it was taken for, and the number of deals: look at it once.
    refused : DataFrame
        Rows that could not be used, whole: file, row (from 0), reason, and the columns of the file as JSON.
    """

    deals: pd.DataFrame
    deal_contacts: pd.DataFrame
    contacts: pd.DataFrame
    stages: pd.DataFrame
    refused: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the arguments of `Community` that the export fills: ``Community(activity="log.csv", **crm.tables())``."""
        found = {"deals": self.deals, "deal_contacts": self.deal_contacts, "contacts": self.contacts}
        return {name: frame for name, frame in found.items() if len(frame)}

    def __repr__(self) -> str:
        outcomes = self.deals["outcome"].fillna("open").value_counts()
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        return f"CrmTables({len(self.deals)} deals ({told}), {len(self.refused)} rows refused)"

    def _repr_html_(self) -> str:
        stages = [(row.stage, row.outcome, int(row.deals)) for row in self.stages.itertuples()]
        reasons = self.refused.groupby(["file", "reason"]).size() if len(self.refused) else {}
        refused = [(*names, int(count)) for names, count in dict(reasons).items()]
        left = table(("file", "reason", "rows"), refused, numbers=("rows",)) if refused else ""
        return (
            paragraph(repr(self))
            + table(("stage", "taken for", "deals"), stages, numbers=("deals",))
            + folded(f"{len(self.refused):,} rows refused", left)
        )


@dataclass
class Export:
    """One file of an export, its columns under the names that we use.

    Parameters
    ----------
    source : path, glob or frame
        CSV as the system writes it; text in all columns.
    name : str
        What to call it in messages.
    columns : mapping
        Our name to the names that exports use, best first; letter case, spaces and underscores do not matter.
    needed : sequence of str
        Names of ours without which the file says nothing.
    """

    source: Any
    name: str
    columns: Mapping[str, Sequence[str]]
    needed: Sequence[str]
    frame: pd.DataFrame = field(init=False)
    refused: list[dict[str, Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._raw = _text_frame(open_table(self.source, name=self.name).table())
        own = {_plain(column): column for column in reversed(self._raw.columns)}
        found = {
            ours: next((own[_plain(name)] for name in names if _plain(name) in own), None)
            for ours, names in self.columns.items()
        }
        missing = [ours for ours in self.needed if found[ours] is None]
        if missing:
            ours = missing[0]
            wanted = self.columns[ours][0]
            raise SchemaError(
                f"The {self.name} file lacks {wanted!r}{closest(wanted, self._raw.columns)}; it has {list(self._raw.columns)}."
            )
        self.frame = pd.DataFrame(
            {
                ours: self._raw[theirs]
                if theirs is not None
                else pd.Series(None, self._raw.index, dtype=object)
                for ours, theirs in found.items()
            }
        )

    def has(self, column: str) -> bool:
        """Whether any row holds a value of this column."""
        return bool(self.frame[column].notna().any())

    def refuse(self, bad: pd.Series[bool], reason: str) -> None:
        """Take rows out, and keep them with the reason."""
        for row in self.frame.index[bad]:
            told = {k: v for k, v in self._raw.loc[row].items() if v is not None}
            self.refused.append({"file": self.name, "row": int(row), "reason": reason, "values": told})
        self.frame = self.frame[~bad]

    def flag(self, column: str) -> pd.Series[Any]:
        """Return yes and no as True and False; None where nothing readable stands."""
        text = self.frame[column].str.strip().str.lower()
        return text.map(lambda v: True if v in TRUE else False if v in FALSE else None).astype(object)


def refused_rows(exports: Sequence[Export | None]) -> pd.DataFrame:
    """Return the refused rows of some files as one frame."""
    rows = [row for export in exports if export is not None for row in export.refused]
    return pd.DataFrame(rows, columns=["file", "row", "reason", "values"])


def outcomes(export: Export, stages: Mapping[str, str | None]) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Return won, lost or None for each deal, and what each stage was taken for.

    The system's own flags (closed, won) say more than a name; a name counts where they are absent, by `stages` first.
    """
    wrong = {str(v) for v in stages.values()} - {WON, LOST, "None"}
    if wrong:
        raise InputError(f"stages= gives {sorted(wrong)}; a stage is 'won', 'lost' or None (open).")
    own = {_plain(stage): outcome for stage, outcome in stages.items()}
    names = export.frame["stage"].fillna("")
    by_name = names.map(lambda stage: _stage(stage, own)).astype(object)
    closed, won = export.flag("closed"), export.flag("won")
    by_flag = pd.Series(
        [WON if w else LOST if c and w is False else None for c, w in zip(closed, won, strict=True)],
        names.index,
        dtype=object,
    )
    told = names.map(_plain).isin(own) | (closed.isna() & won.isna())
    found = by_name.where(told, by_flag).astype(object).where(lambda v: v.notna(), None)
    summary = pd.DataFrame({"stage": names, "outcome": found.fillna("open")})
    counted = summary.groupby(["stage", "outcome"], as_index=False).size().rename(columns={"size": "deals"})
    return found, counted


def amounts(export: Export, rates: Mapping[str, float] | None, decimal: str) -> pd.Series[float]:
    """Return amounts in one currency, NaN where none can be read.

    Raises
    ------
    InputError
        If there are several currencies and no rates, or a rate is missing.
    """
    text = export.frame["amount"].fillna("")
    currency = export.frame["currency"].str.strip().str.upper()
    named = text.str.extract(r"\b([A-Z]{3})\b", expand=False)
    currency = currency.where(currency.notna(), named).fillna("")
    separator = "," if decimal == "." else "."
    plain = text.str.replace(separator, "", regex=False).str.replace(decimal, ".", regex=False)
    number = pd.to_numeric(plain.str.replace(r"[^\d.\-]", "", regex=True), errors="coerce").astype(float)
    there = sorted(set(currency[number.notna()]))
    if rates is None:
        if len(there) > 1:
            raise InputError(
                f"The amounts are in {there}; give rates={{currency: value of one unit}} so that they can be compared."
            )
        return number
    missing = [c for c in there if c not in rates]
    if missing:
        raise InputError(f"rates= lacks {missing}; the amounts are in {there}.")
    return number * currency.map(lambda c: rates.get(c, float("nan"))).astype(float)


def lookup(keys: pd.Series[Any], values: pd.Series[Any]) -> dict[Any, Any]:
    """Return the value of each key; rows without one or the other say nothing, and of equal keys the last counts."""
    both = pd.DataFrame({"key": keys, "value": values}).dropna()
    return dict(zip(both["key"], both["value"], strict=True))


def plain_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows numbered from 0, with None where nothing is known."""
    return frame.astype(object).where(frame.notna(), None).reset_index(drop=True)


def save_refused(tables: CrmTables, path: str | Path) -> None:
    """Write the refused rows as JSON lines; they hold what the export held, addresses too."""
    tables.refused.to_json(Path(path), orient="records", lines=True)


def day_or_time(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return times as ISO text; a midnight that an export adds to every day is a day again.

    A day counts as known at its last microsecond; as a midnight it would be known a day early.
    """
    text = values.str.strip()
    midnight = r"^(\d{4}-\d{2}-\d{2})[T ]00:00(?::00(?:\.0+)?)?$"
    held = text.dropna()
    if len(held) and held.str.match(midnight).all():
        return text.str.replace(midnight, r"\1", regex=True)
    return text.str.replace(r"^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})", r"\1T\2", regex=True)


def _stage(name: str, own: Mapping[str, str | None]) -> str | None:
    plain = _plain(re.sub(r"\(.*\)", "", name))
    if _plain(name) in own:
        return own[_plain(name)]
    return {"closedwon": WON, "won": WON, "closedlost": LOST, "lost": LOST}.get(plain)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9äöüß%]", "", name.lower())


def _text_frame(table: pa.Table) -> pd.DataFrame:
    columns = {
        c: pd.Series(
            [
                None if v is None or v == "" else v if isinstance(v, str) else str(v)
                for v in table[c].to_pylist()
            ],
            dtype=object,
        )
        for c in table.column_names
    }
    return pd.DataFrame(columns)
