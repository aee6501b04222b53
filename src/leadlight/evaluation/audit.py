"""The leakage audit: evidence first, names second."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pandas as pd

from leadlight.errors import InputError, LeakageError, SchemaError
from leadlight.estimators.inputs import index_level, labels, per_row
from leadlight.evaluation.audit_dates import as_moments, date_findings, moments, never_changes
from leadlight.evaluation.audit_outcome import ALONE, Finding, Outcome
from leadlight.evaluation.showing import audit_html

SUSPICIOUS: Final = re.compile(
    r"(^|[^a-z])(last|latest|status|stage|quality|outcome|converted|closed)([^a-z]|$)", re.IGNORECASE
)
SNAPSHOT: Final = re.compile(r"(^|[^a-z])snapshot$", re.IGNORECASE)


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    Attributes
    ----------
    columns_flagged : dict of str to str
        Column to its evidence; these fail the run unless excused by name.
    suspects : dict of str to str
        Columns with a suspicious name, or with hints that prove nothing; shown, never failing.
    excused : tuple of str
    checked : int
        Number of columns looked at.
    findings : dict of str to tuple of Finding
        Column to every rule that spoke of it, excused columns too.
    together : float or None
        AUC that the suspects reach together out of fold, each by itself adding its log-odds; None below two suspects.
    """

    columns_flagged: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)
    excused: tuple[str, ...] = ()
    checked: int = 0
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    together: float | None = None

    @classmethod
    def of(
        cls, findings: Mapping[str, Iterable[Finding]], checked: int, excused: tuple[str, ...] = ()
    ) -> Audit:
        """Sort findings into what fails, what is only suspect and what is excused."""
        kept = {column: tuple(found) for column, found in findings.items() if tuple(found)}
        flagged: dict[str, str] = {}
        suspects: dict[str, str] = {}
        for column, found in kept.items():
            proofs = [f.text for f in found if f.fails]
            if column not in excused:
                (flagged if proofs else suspects)[column] = "; ".join(proofs or [f.text for f in found])
        return cls(flagged, suspects, excused, checked, kept)

    @property
    def clean(self) -> bool:
        """Whether no column is flagged."""
        return not self.columns_flagged

    def with_findings_of(self, other: Audit) -> Audit:
        """Return this audit with what another found about the same columns, as that of the community."""
        both = {
            c: self.findings.get(c, ()) + other.findings.get(c, ()) for c in self.findings | other.findings
        }
        excused = tuple(dict.fromkeys(self.excused + other.excused))
        joined = Audit.of(both, max(self.checked, other.checked), excused)
        return replace(joined, together=self.together)

    def require_clean(self) -> None:
        """Raise `LeakageError` if a column is flagged."""
        if not self.clean:
            raise LeakageError(
                f"{self} Take these columns out, or name those that are known before the cutoff in excuse=."
            )

    def __str__(self) -> str:
        if self.clean:
            text = f"Leakage audit: {self.checked} columns checked, none flagged, {len(self.suspects)} suspicious."
        else:
            found = "; ".join(f"{column}: {why}" for column, why in self.columns_flagged.items())
            text = f"Leakage audit: {len(self.columns_flagged)} of {self.checked} columns flagged. {found}."
        if self.together is not None and self.together > ALONE:
            text += f" The suspects together reach an AUC of {self.together:.3f}."
        return text

    def _repr_html_(self) -> str:
        return audit_html(self)


def audit_leakage(
    frame: Any,
    y: Any,
    *,
    excuse: tuple[str, ...] = (),
    groups: Any = None,
    cutoffs: Any = None,
    seed: int = 0,
) -> Audit:
    """Look for columns that know the outcome.

    Evidence, which fails a run: a column that alone reaches an AUC above .95 out of fold; missingness that reaches .8;
    one value, or being filled in, that settles the outcome; a date at or after the row's cutoff; a column that calls
    itself a snapshot. Hints, which make suspects: an AUC above .85, a value or band that nearly settles the outcome, one
    date for all rows, a number that never changes within a member, a name that speaks of a later state.
    `docs/leakage.md` gives the thresholds and what they find on public tables.

    Parameters
    ----------
    frame : DataFrame
        Any plain table of features: numbers, text, dates (text in ISO 8601 is read as dates).
    y : array of shape (n,)
        Two classes.
    excuse : tuple of str
        Columns that are known to be fine.
    groups : array of shape (n,), optional
        Accounts: kept together in the folds, and counted instead of rows. Default: the index level "member_id".
    cutoffs : moment or array of shape (n,), optional
        Time from which on nothing may be known; naive times are UTC. Default: the index level "cutoff".
    seed : int
        Of the folds.

    Returns
    -------
    Audit
        With fewer than five rows of either class the outcome gives no evidence; names and dates still do.

    Raises
    ------
    SchemaError
        If a column is there twice.
    InputError
        If `excuse` names an unknown column, y has not the table's length or not two classes, or all rows are of one group.

    Examples
    --------
    >>> import leadlight as ll
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"visits": [3, 1, 4, 1, 5] * 20, "tag": ["won", "new", "new", "won", "cold"] * 20}
    ... )
    >>> ll.evaluation.audit_leakage(frame, frame["tag"] == "won").columns_flagged
    {'tag': 'alone it reaches an AUC of 1.000'}
    """
    table, excused = _table(frame, excuse)
    target, _, known = labels(y)
    if len(target) != len(table):
        raise InputError(f"The table has {len(table)} rows and y {len(target)}.")
    members, times = index_level(table, "member_id"), index_level(table, "cutoff")
    groups = members if groups is None else per_row(groups, len(known), "groups")
    at = moments(times if cutoffs is None else cutoffs, len(known))
    repeats = None if members is None or at is None else (members[known], at[known])
    at = None if at is None else at[known]
    table, target = table.loc[known], target[known]
    outcome = Outcome(target, None if groups is None else groups[known], table.shape[1], seed)
    findings: dict[str, list[Finding]] = {}
    for name in table.columns:
        dates = as_moments(table[name])
        found = _named(name)
        if dates is not None:
            found += date_findings(dates, at)
        elif repeats is not None:
            found += never_changes(table[name], *repeats)
        findings[name] = found + outcome.findings(_ranked(table[name]))
    audit = Audit.of(findings, table.shape[1], excused)
    together = outcome.together([_ranked(table[name]) for name in audit.suspects])
    return replace(audit, together=together)


def _table(frame: Any, excuse: Iterable[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table of its own with text for names, and the excused names."""
    table = frame.to_pandas() if hasattr(frame, "to_pandas") else pd.DataFrame(frame)
    table = table.set_axis([str(c) for c in table.columns], axis=1)
    repeated = table.columns[table.columns.duplicated()].unique().tolist()
    if repeated:
        raise SchemaError(f"The table holds columns twice: {repeated}; keep one of each.")
    if isinstance(excuse, str):
        raise InputError(f"excuse is {excuse!r}; give a tuple of column names, ({excuse!r},).")
    unknown = [c for c in excuse if c not in table.columns]
    if unknown:
        raise InputError(f"excuse names columns that are not in the table: {unknown}.")
    return table, tuple(excuse)


def _ranked(column: pd.Series[Any]) -> pd.Series[Any]:
    """Dates as ranks, so that they are not read as a thousand words; any other column as it is."""
    dates = as_moments(column)
    return column if dates is None else dates.rank()


def _named(name: str) -> list[Finding]:
    found = []
    if SNAPSHOT.search(name):
        found.append(
            Finding("snapshot", "by its name it holds the value of the day of the export", fails=True)
        )
    if SUSPICIOUS.search(name):
        found.append(Finding("name", "its name speaks of a later state", fails=False))
    return found
