"""The leakage audit: evidence first, names second."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold

from leadlight.errors import InputError, SchemaError
from leadlight.estimators.inputs import labels, per_row
from leadlight.evaluation.metrics import Ranking

SUSPICIOUS = re.compile(
    r"(^|[^a-z])(last|latest|status|stage|quality|outcome|converted|closed)([^a-z]|$)", re.IGNORECASE
)
SINGLE_AUC = 0.95
"""One column that alone ranks this well out of fold is no behaviour; it is the answer."""

SUSPECT_AUC = 0.85
"""One column that alone ranks this well is worth a look at when it is filled in."""

MISSING_AUC = 0.8
"""Being filled in or not should not tell the outcome this well."""

FEWEST = 5
"""With fewer rows of either class some honest column of many always ranks them all."""


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    Attributes
    ----------
    columns_flagged : dict of str to str
        Column to its evidence; these fail the run unless excused by name.
    suspects : dict of str to str
        Columns whose name is suspicious, or that alone reach an AUC above .85; shown, never failing.
    excused : tuple of str
    checked : int
        Number of columns looked at.
    """

    columns_flagged: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)
    excused: tuple[str, ...] = ()
    checked: int = 0

    @property
    def clean(self) -> bool:
        """Whether no column is flagged."""
        return not self.columns_flagged

    def __str__(self) -> str:
        if self.clean:
            return f"Leakage audit: {self.checked} columns checked, none flagged, {len(self.suspects)} suspicious."
        found = "; ".join(f"{column}: {why}" for column, why in self.columns_flagged.items())
        return f"Leakage audit: {len(self.columns_flagged)} of {self.checked} columns flagged. {found}"


def audit_leakage(
    frame: Any, y: Any, *, excuse: tuple[str, ...] = (), groups: Any = None, seed: int = 0
) -> Audit:
    """Look for columns that know the outcome.

    Parameters
    ----------
    frame : DataFrame
        Any plain table of features, numbers and text.
    y : array of shape (n,)
        Two classes.
    excuse : tuple of str
        Columns that are known to be fine.
    groups : array of shape (n,), optional
        Accounts kept together in the folds.

    Returns
    -------
    Audit
        Evidence: one column alone reaches an AUC above .95 out of fold; whether it is missing reaches .8. With fewer
        than five rows of either class there is no evidence, only suspects.

    Raises
    ------
    SchemaError
        If a column is there twice.
    InputError
        If `excuse` names an unknown column, or y has not the table's length or not two classes.
    """
    table = frame.to_pandas() if hasattr(frame, "to_pandas") else pd.DataFrame(frame)
    table.columns = pd.Index([str(c) for c in table.columns])
    repeated = table.columns[table.columns.duplicated()].unique().tolist()
    if repeated:
        raise SchemaError(f"The table holds columns twice: {repeated}; keep one of each.")
    unknown = [c for c in excuse if c not in table.columns]
    if unknown:
        raise InputError(f"excuse names columns that are not in the table: {unknown}.")
    target, _, known = labels(y)
    if len(target) != len(table):
        raise InputError(f"The table has {len(table)} rows and y {len(target)}.")
    table, target = table.loc[known], target[known]
    group = None if groups is None else per_row(groups, len(known), "groups")[known]
    enough = min(target.sum(), len(target) - target.sum()) >= FEWEST
    folds = _folds(target, group, seed) if enough else []
    flagged: dict[str, str] = {}
    suspects: dict[str, str] = {}
    for name in table.columns:
        if SUSPICIOUS.search(name):
            suspects[name] = "its name speaks of a later state"
        evidence, auc = _evidence(_plain(table[name]), target, folds) if enough else ("", 0.0)
        if evidence and name not in excuse:
            flagged[name] = evidence
        elif not evidence and auc > SUSPECT_AUC:
            suspects.setdefault(name, f"alone it reaches an AUC of {auc:.3f}; look at when it is filled in")
    return Audit(flagged, suspects, tuple(excuse), table.shape[1])


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Times as numbers, so that a date filled in at the outcome is ranked and not read as a thousand words."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        return column
    return column.rank(method="average")


def _folds(y: NDArray[np.float64], groups: NDArray[Any] | None, seed: int) -> list[Any]:
    if groups is None:
        return list(KFold(5, shuffle=True, random_state=seed).split(y))
    codes = np.unique(groups.astype(str), return_inverse=True)[1]
    folds = min(5, codes.max() + 1)
    if folds < 2:
        raise InputError("All rows are of one group; the audit needs folds by group.")
    return list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(y, y, codes))


def _evidence(column: pd.Series[Any], y: NDArray[np.float64], folds: list[Any]) -> tuple[str, float]:
    """Return what proves that a column knows the outcome, "" for nothing, and the AUC that it reaches alone."""
    missing = column.isna().to_numpy()
    if 0 < missing.sum() < len(missing):
        auc = _two_sided(missing.astype(float), y)
        if auc > MISSING_AUC:
            return f"being filled in alone reaches an AUC of {auc:.3f}", auc
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    auc = _two_sided(column.to_numpy(float), y) if numeric and not missing.any() else 0.0
    if auc <= SINGLE_AUC:
        auc = max(auc, Ranking(_encoded(column, y, folds, numeric), y).auc(np.ones(len(y))))
    return f"alone it reaches an AUC of {auc:.3f}" if auc > SINGLE_AUC else "", auc


def _two_sided(score: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    auc = Ranking(score, y).auc(np.ones(len(y)))
    return max(auc, 1 - auc)


def _encoded(
    column: pd.Series[Any], y: NDArray[np.float64], folds: list[Any], numeric: bool
) -> NDArray[np.float64]:
    """Out-of-fold share of positives in the row's category, or in its twentieth of a numeric column."""
    if numeric:
        ranks = column.rank(method="average", pct=True).to_numpy(float)
        keys = np.where(np.isnan(ranks), -1, np.floor(ranks * 20)).astype(int)
    else:
        keys = pd.factorize(column.astype(str))[0]
    prior = y.mean()
    score = np.full(len(y), prior)
    for train, test in folds:
        total = np.bincount(keys[train] + 1, minlength=keys.max() + 2)
        won = np.bincount(keys[train] + 1, weights=y[train], minlength=keys.max() + 2)
        score[test] = ((won + 10 * prior) / (total + 10))[keys[test] + 1]
    return score
