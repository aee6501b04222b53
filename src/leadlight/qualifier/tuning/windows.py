"""Validation windows: earlier rows to train on, and later rows, with room between them, to judge by."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.base import clone

from leadlight.community import Community
from leadlight.errors import InputError, LeadlightWarning
from leadlight.estimators import LeadClassifier, TemporalSplit
from leadlight.evaluation.metrics import log_loss_rows
from leadlight.evaluation.redraws import Redraws, effective
from leadlight.features import build_features
from leadlight.moments import DAY_US, Duration, duration_us
from leadlight.observations import Observations
from leadlight.qualifier.directions import column_signs
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.selection import choose, training_weight

Values = NDArray[np.float64]

LEAST_BUYERS = 5
"""A window whose training rows hold fewer won accounts is left out: it would judge the prior."""


@dataclass(frozen=True)
class Window:
    """Rows to train on and later rows to judge by.

    Attributes
    ----------
    X, later : DataFrame
        Features, by one plan that was compiled before the last training cutoff.
    y, weight : float64 arrays
        Labels of the training rows as they were known at the end of training, and what the rows weigh.
    groups, times : arrays
        Of the training rows.
    signs : mapping of str to int
        Directions that behaviours set.
    later_y : float64 array
    later_groups : array
    """

    X: pd.DataFrame
    y: Values
    weight: Values
    groups: NDArray[Any]
    times: NDArray[np.int64]
    signs: Mapping[str, int]
    later: pd.DataFrame
    later_y: Values
    later_groups: NDArray[Any]

    def probability(self, classifier: LeadClassifier) -> Values:
        """Return what a clone, fitted on the training rows, gives the later rows."""
        fitted: LeadClassifier = clone(classifier)
        if self.signs:
            fitted.set_params(monotone={**self.signs, **(classifier.monotone or {})})
        with warnings.catch_warnings():
            # Every fit on few deals would say so again; the sentence does once.
            warnings.simplefilter("ignore", LeadlightWarning)
            fitted.fit(self.X, self.y, sample_weight=self.weight, groups=self.groups, times=self.times)
        p: Values = fitted.predict_proba(self.later)[:, 1]
        return p


def validation_windows(
    qualifier: LeadQualifier,
    community: Community,
    observations: Observations,
    count: int,
    embargo: Duration | None,
) -> list[Window]:
    """Return the windows that can be judged, with features as a qualifier that was fitted then would have had them.

    Raises
    ------
    InputError
        The embargo is shorter than gap and horizon, or the rows do not make a window.
    """
    rows = observations.labelled()
    reach = rows.windows.reach_us
    held = reach if embargo is None else duration_us(embargo, name="embargo", zero=True)
    if held < reach:
        raise InputError(
            f"embargo is {embargo!r}, shorter than gap and horizon together, {reach / DAY_US:g} days: labels of training rows "
            "would reach into the window that judges them."
        )
    try:
        splits = list(TemporalSplit(count, timedelta(microseconds=held)).split(rows.frame))
    except InputError as error:
        raise InputError(f"{error} Give fewer windows, more cutoffs or a shorter horizon.") from error
    found = []
    for _, test in splits:
        start = int(rows.cutoff_us[test].min())
        # Labels and weights as they were known then, which positions alone would not give.
        train = rows.split(start - (held - reach), start)[0].labelled()
        later = rows.take(test)
        y, later_y = train.label.to_numpy(float), later.label.to_numpy(float)
        if len(np.unique(train.groups[y > 0])) < LEAST_BUYERS or not 0 < later_y.sum() < len(later_y):
            continue
        plan = qualifier.catalogue.compile(community, int(train.cutoff_us.max()))
        found.append(
            Window(
                X=build_features(community, train, plan),
                y=y,
                weight=training_weight(choose(qualifier.selection, train), train),
                groups=train.groups,
                times=train.cutoff_us,
                signs=column_signs(qualifier.monotone, plan),
                later=build_features(community, later, plan),
                later_y=later_y,
                later_groups=later.groups,
            )
        )
    if not found:
        raise InputError(
            f"None of {count} windows holds {LEAST_BUYERS} won accounts to train on and one to test on; the rows hold "
            f"{int(rows.label.sum())} positives. Give fewer windows, or wait for more deals."
        )
    return found


class Judge:
    """Losses on the windows, and how they move when accounts are redrawn.

    Attributes
    ----------
    windows : list of Window
    buyers : int
        Won accounts in the later rows of all windows.
    """

    def __init__(self, windows: Sequence[Window], rounds: int, seed: int) -> None:
        self.windows = list(windows)
        y = np.concatenate([window.later_y for window in windows])
        self._of = np.repeat(np.arange(len(windows)), [len(window.later_y) for window in windows])
        self._redraws = Redraws(np.concatenate([window.later_groups for window in windows]), rounds, seed)
        by_account = self._redraws.per_account(y)
        self.buyers = int((by_account > 0).sum())
        self._evidence = effective(by_account)

    def losses(self, probability: Sequence[Values]) -> Values:
        """Return the log loss of each window in each draw of whole accounts, shape (windows, rounds + 1)."""
        found = []
        for k, (window, p) in enumerate(zip(self.windows, probability, strict=True)):
            inside = np.zeros(len(self._of))
            inside[self._of == k] = 1.0
            loss = np.zeros(len(self._of))
            loss[self._of == k] = log_loss_rows(p, window.later_y)
            with np.errstate(divide="ignore", invalid="ignore"):
                found.append(self._redraws.sums(loss) / self._redraws.sums(inside))
        return np.stack(found)

    def gains(self, losses: Values) -> Values:
        """Return what each setting gains on the first, the default, with simultaneous 95 % intervals.

        The best of many settings looks better than it is. The interval is as wide as the largest of all of them strays in a
        redraw, in standard errors (max-T, Westfall and Young 1993), widened by Student's t for few won accounts.

        Parameters
        ----------
        losses : float64 array of shape (settings, rounds + 1)

        Returns
        -------
        float64 array of shape (settings, 3)
            Gain, low, high.
        """
        gain = losses[0] - losses
        value, redrawn = gain[:, 0], gain[:, 1:][:, np.isfinite(gain[:, 1:]).all(axis=0)]
        error = redrawn.std(axis=1)
        moves = error > 0
        strays = np.zeros(redrawn.shape[1])
        if moves.any():
            strays = (np.abs(redrawn - value[:, None])[moves] / error[moves, None]).max(axis=0)
        usual = float(student.ppf(0.975, np.inf))
        few = float(student.ppf(0.975, max(self._evidence - 1.0, 1.0))) / usual
        half = max(float(np.quantile(strays, 0.95)), usual) * few * error
        return np.stack([value, value - half, value + half], axis=1)

    def digest(self) -> str:
        """Return a hash of all that the fits and the judgement read, names of columns aside."""
        digest = hashlib.sha256()
        for w in self.windows:
            for part in (w.X.to_numpy(), w.y, w.weight, w.times, w.later.to_numpy(), w.later_y):
                digest.update(np.ascontiguousarray(part).tobytes())
            for groups in (w.groups, w.later_groups):
                digest.update("\n".join(map(str, groups)).encode())
        return digest.hexdigest()
