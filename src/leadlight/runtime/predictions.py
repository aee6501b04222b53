"""Predictions: the answers for many members, as columns and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from leadlight.runtime.prediction import Prediction, Reason
from leadlight.runtime.showing import chance, heading, paragraph, table

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_SHOWN = 20
"""Members that a notebook shows."""


@dataclass(frozen=True, eq=False)
class Predictions(Sequence[Prediction]):
    """A sequence of `Prediction`, held as columns.

    Attributes
    ----------
    probability, low, high, percentile : float64 arrays of shape (n,)
    grade : str array of shape (n,)
    qualified, cold_start : bool arrays of shape (n,)
    reasons : list of n tuples of Reason
    missing : list of n tuples of str
    model_version : str
    member_id : tuple of n str, or None
        None where rows were scored, which name nobody.
    """

    probability: Floats
    low: Floats
    high: Floats
    percentile: Floats
    grade: NDArray[np.str_]
    qualified: Bools
    cold_start: Bools
    reasons: list[tuple[Reason, ...]]
    missing: list[tuple[str, ...]]
    model_version: str
    member_id: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.probability)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> list[Prediction]: ...
    def __getitem__(self, at: int | slice) -> Prediction | list[Prediction]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        return Prediction(
            probability=float(self.probability[at]),
            low=float(self.low[at]),
            high=float(self.high[at]),
            grade=str(self.grade[at]),
            qualified=bool(self.qualified[at]),
            reasons=self.reasons[at],
            cold_start=bool(self.cold_start[at]),
            model_version=self.model_version,
            percentile=float(self.percentile[at]),
            missing=self.missing[at],
        )

    def columns(self) -> dict[str, Any]:
        """Return columns of equal length, as a data frame or a database takes them.

        member_id (where it is known), probability, low, high, percentile, grade, qualified, cold_start, reasons (lists of
        sentences, the heaviest first), missing (lists of names) and model_version.
        """
        own: dict[str, Any] = {} if self.member_id is None else {"member_id": list(self.member_id)}
        return own | {
            "probability": self.probability,
            "low": self.low,
            "high": self.high,
            "percentile": self.percentile,
            "grade": self.grade,
            "qualified": self.qualified,
            "cold_start": self.cold_start,
            "reasons": [[reason.text for reason in found] for found in self.reasons],
            "missing": [list(found) for found in self.missing],
            "model_version": [self.model_version] * len(self),
        }

    def _repr_html_(self) -> str:
        rows = [
            (
                "" if self.member_id is None else self.member_id[at],
                chance(one.probability, one.low, one.high),
                one.grade,
                "yes" if one.qualified else "no",
                "; ".join(reason.text for reason in one.reasons),
            )
            for at, one in enumerate(self[:MOST_SHOWN])
        ]
        left = len(self) - MOST_SHOWN
        note = f"{len(self):,} members, {int(self.qualified.sum()):,} qualified, model {self.model_version}"
        head = ("member", "probability (95 % interval)", "grade", "qualified", "reasons")
        more = paragraph(f"... and {left:,} more") if left > 0 else ""
        return heading("Predictions", note) + table(head, rows, numbers=head[1:2]) + more

    def __repr__(self) -> str:
        return (
            f"Predictions({len(self)} members, {int(self.qualified.sum())} qualified, {self.model_version})"
        )
