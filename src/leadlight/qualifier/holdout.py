"""The latest mature window, held back from fitting, on which a bound on missed buyers is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadlight.decision import one_row_each
from leadlight.errors import ImmatureLabelError, InputError
from leadlight.moments import moment_text
from leadlight.observations import Observations


def hold_back(rows: Observations) -> tuple[Observations, Observations]:
    """Split labelled rows into training rows and those of the latest mature window.

    The window is that of the last cutoff; cutoffs less than a horizon before it share a part of it and are held back
    too, so that a buyer is held back at every cutoff that could show it. Training rows mature, and their labels are as
    known, before the first cutoff held back: the embargo is horizon + gap.

    Raises
    ------
    InputError
        If no training window ends before the first cutoff held back.
    """
    last = int(rows.cutoff_us.max())
    first = int(rows.cutoff_us[rows.cutoff_us > last - max(rows.windows.horizon_us, 1)].min())
    try:
        train, held = rows.split(first, first)
    except ImmatureLabelError as error:
        raise InputError(
            f"MissRate holds back the latest window, from {moment_text(first)} on, and no training window ends before it "
            "starts. Give earlier cutoffs, or a shorter horizon."
        ) from error
    return train.labelled(), held


def drawn_buyers(held: Observations, seed: int = 0) -> NDArray[np.int64]:
    """Return the positions of the held-back buyers: one positive row for each account (or member without one).

    Drawn blind, at random among the account's positive rows of the window: its best row would flatter the threshold.
    """
    positive = np.flatnonzero((held.frame["label"] == 1).to_numpy(bool))
    return positive[one_row_each(held.groups[positive], seed)]
