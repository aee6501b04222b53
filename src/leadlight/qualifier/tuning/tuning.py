"""tune: look for parameters that lose less than the default on later windows, and say whether they surely do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from leadlight._version import __version__
from leadlight.community import Community
from leadlight.errors import InputError, closest
from leadlight.estimators import LeadClassifier
from leadlight.moments import Duration
from leadlight.observations import Observations
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.tuning.search import SPACE, Search, Space, judged, opened, optuna_module
from leadlight.qualifier.tuning.windows import Judge, validation_windows

Values = NDArray[np.float64]

FEW_BUYERS = 20
"""Below so many won accounts in the windows the sentence says that the interval may be too narrow."""

LEARNERS: Final = ("lightgbm", "scikit-learn")
"""Whose version a study is bound to: another may grow other trees."""

UNKNOWN: Final = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Attributes
    ----------
    best : LeadClassifier
        Unfitted, with the chosen parameters, or the default unchanged.
    accepted : bool
        Whether the best setting beat the default by more than its interval.
    sentence : str
        Which it is, by how much, with the interval.
    gain : tuple of three floats
        Log loss of the default minus that of the best setting, and its 95 % interval, which holds for the best of all that were
        tried. NaN where no other setting was judged on every window.
    trials : DataFrame
        In order, the default first: state ("default", "complete", "repeat" of an earlier setting, "pruned"), a column for
        each parameter of the space, log_loss and average_precision (means over the windows; NaN where pruned), windows
        (judged on), gain, low, high (of the log loss against the default; simultaneous 95 % intervals).
    windows : DataFrame
        One row for each validation window: first and last cutoff, rows and won accounts in training and in it, log loss of
        the default and of the best setting, and gain, low, high of that setting as if it alone had been tried.
    """

    best: LeadClassifier
    accepted: bool
    sentence: str
    gain: tuple[float, float, float]
    trials: pd.DataFrame
    windows: pd.DataFrame

    def __str__(self) -> str:
        return self.sentence

    __repr__ = __str__


def tune(
    model: LeadQualifier | LeadClassifier,
    community: Community,
    observations: Observations,
    *,
    trials: int = 30,
    storage: str | Path | None = None,
    study: str = "leadlight",
    space: Space | None = None,
    windows: int = 3,
    embargo: Duration | None = None,
    rounds: int = 500,
    seed: int = 0,
) -> Tuning:
    """Look for parameters that lose less than the default on later windows; keep the default unless one surely does.

    Parameters
    ----------
    model : LeadQualifier or LeadClassifier
        The default to beat. A qualifier brings its catalogue, directions and selection; "auto" discounts where it can.
    community : Community
    observations : Observations
        Training rows alone: what is tuned on a test period cannot be judged on it. Rows without a label are left out.
    trials : int
        Settings in the study beside the default, with those that it holds already.
    storage : str or path, optional
        A URL such as "sqlite:///tuning.db", or the path of an SQLite file, where trials are kept as they finish. The same
        storage and study continue, also after the process was killed: what is there is not run again. None keeps them in
        memory.
    study : str
        Name of the study in the storage.
    space : mapping, optional
        Parameter of the classifier -> list of choices, or tuple (low, high) drawn on the log scale. `SPACE` by default.
    windows : int
        Validation windows of `TemporalSplit`. Those with fewer than 5 won accounts to train on, or none to test on, are left out.
    embargo : duration, optional
        A training row's cutoff lies at least this long before the first cutoff of a validation window; gap + horizon or more,
        which it is by default. Labels are as known at the end of the training windows.
    rounds : int
        Bootstrap draws of whole accounts, the same for every setting.
    seed : int

    Returns
    -------
    Tuning
        Ctrl-C ends the search early: it returns what was done by then, once the default is judged.

    Raises
    ------
    InputError
        Optuna is not installed, a parameter is out of range, the rows do not make a window, or the study was begun with other
        rows, features, space or settings.

    Notes
    -----
    The objective is the mean over windows of the log loss of all later rows. Probabilities are calibrated on all training
    rows here, also where the qualifier would calibrate on those that sales approached: they are judged on all.
    """
    optuna_module()
    space = SPACE if space is None else space
    qualifier = model if isinstance(model, LeadQualifier) else LeadQualifier(classifier=model)
    default = LeadClassifier() if qualifier.classifier is None else clone(qualifier.classifier)
    _check(default, space, trials, rounds)
    found = validation_windows(qualifier, community, observations, windows, embargo)
    judge = Judge(found, rounds, seed)
    with opened(storage) as kept_in:
        search = Search(kept_in, study, default, space, judge, seed)
        search.check_same(_identity(judge, default, space, rounds, seed))
        stopped = search.run(trials)
        kept = search.kept()
    tuning = _conclude(default, space, judge, kept, f"{len(found)} of {windows} later windows")
    if not stopped:
        return tuning
    text = f"{tuning.sentence} Interrupted after {len(kept) - 1} of {trials} trials."
    return Tuning(tuning.best, tuning.accepted, text, tuning.gain, tuning.trials, tuning.windows)


def _check(default: Any, space: Space, trials: int, rounds: int) -> None:
    if not isinstance(default, LeadClassifier):
        raise InputError(
            f"model is a {type(default).__name__}; give a LeadQualifier or a LeadClassifier. For others there is "
            "GridSearchCV with TemporalSplit."
        )
    known = default.get_params()
    if not space:
        raise InputError("space is empty; give parameters of the classifier, or None for the usual ones.")
    for name, values in space.items():
        if name not in known:
            raise InputError(
                f"space names {name!r}, which is no parameter of the classifier{closest(name, known)}."
            )
        span = isinstance(values, tuple)
        if span and not (len(values) == 2 and all(map(np.isreal, values)) and 0 < values[0] < values[1]):
            raise InputError(
                f"space[{name!r}] is {values!r}; a range is a tuple (low, high) with 0 < low < high."
            )
        if not span and not (isinstance(values, list) and values):
            raise InputError(
                f"space[{name!r}] is {values!r}; give a list of choices, or a tuple (low, high)."
            )
    for name, value, least in (("trials", trials, 1), ("rounds", rounds, 100)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{name} is {value!r}; give a whole number of at least {least}.")


def _identity(judge: Judge, default: LeadClassifier, space: Space, rounds: int, seed: int) -> dict[str, Any]:
    """Return what a study is of, as plain data: only trials of the same can be compared."""
    columns = json.dumps([list(map(str, window.X.columns)) for window in judge.windows])
    params = {name: value for name, value in default.get_params().items() if name != "n_jobs"}
    return {
        "rows": judge.digest(),
        "features": hashlib.sha256(columns.encode()).hexdigest(),
        "space": repr(sorted(space.items())),
        "classifier": repr(sorted(params.items())),
        "settings": {"rounds": int(rounds), "seed": int(seed)},
        "versions": {"leadlight": __version__, **{name: version(name) for name in LEARNERS}},
    }


def _conclude(
    default: LeadClassifier, space: Space, judge: Judge, kept: Sequence[Any], windows: str
) -> Tuning:
    """Say what the trials show."""
    whole = [trial for trial in kept if judged(trial) and "repeats" not in trial.user_attrs]
    place = {trial.number: k for k, trial in enumerate(whole)}
    losses = np.array([trial.user_attrs["losses"] for trial in whole])
    gains = judge.gains(losses.mean(axis=1))
    rows = []
    for trial in kept:
        original = trial.user_attrs.get("repeats", trial.number)
        k = place.get(original)
        state = "default" if trial is kept[0] else "pruned" if k is None else "complete"
        rows.append(
            {
                "state": "repeat" if original != trial.number else state,
                **(default.get_params() if trial is kept[0] else trial.params),
                "log_loss": float("nan") if k is None else trial.value,
                "average_precision": float("nan") if k is None else whole[k].user_attrs["average_precision"],
                "windows": len(trial.intermediate_values),
                **dict(zip(("gain", "low", "high"), UNKNOWN if k is None else gains[k], strict=True)),
            }
        )
    columns = ["state", *space, "log_loss", "average_precision", "windows", "gain", "low", "high"]
    table = pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="trial"), columns=columns)
    at = 1 + int(np.argmax(gains[1:, 0])) if len(whole) > 1 else 0
    value, low, high = map(float, gains[at] if at else UNKNOWN)
    accepted = at > 0 and low > 0
    text = _sentence(table, whole[at].params, (value, low, high), judge.buyers, windows)
    best = clone(default).set_params(**(whole[at].params if accepted else {}))
    return Tuning(best, accepted, text, (value, low, high), table, _by_window(judge, losses[0], losses[at]))


def _by_window(judge: Judge, default: Values, best: Values) -> pd.DataFrame:
    rows = []
    for k, w in enumerate(judge.windows):
        cutoffs = w.later.index.get_level_values("cutoff")
        gain, low, high = judge.gains(np.stack([default[k], best[k]]))[1]
        rows.append(
            {
                "first": cutoffs.min(),
                "last": cutoffs.max(),
                "training_rows": len(w.y),
                "training_won": len(np.unique(w.groups[w.y > 0])),
                "rows": len(w.later_y),
                "won": len(np.unique(w.later_groups[w.later_y > 0])),
                "default": default[k, 0],
                "best": best[k, 0],
                "gain": gain,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="window"))


def _sentence(
    table: pd.DataFrame,
    params: Mapping[str, Any],
    gain: tuple[float, float, float],
    buyers: int,
    windows: str,
) -> str:
    on = f"{windows}, {buyers} won accounts"
    if np.isnan(gain[0]):
        return f"The default is kept: no other setting was judged on all windows ({on})."
    tried = int(table["state"].isin(["complete", "pruned"]).sum())
    what = ", ".join(f"{name}={_shown(value)}" for name, value in params.items())
    what += f" (the best of {tried})" if tried > 1 else ""
    value, low, high = map(_shown, gain)
    loss = f"{table['log_loss'].iloc[0]:.4g}"
    if gain[1] > 0:
        text = f"Tuned: {what} gains {value} on the default's log loss of {loss} a row, 95 % interval {low} to {high}; {on}."
    elif gain[0] > 0:
        text = (
            f"The default is kept: {what} gains {value} on its log loss of {loss} a row, less than is sure (95 % interval "
            f"{low} to {high}); {on}."
        )
    else:
        text = f"The default is kept: no setting loses less than its {loss} a row, the next is {what}; {on}."
    if buyers < FEW_BUYERS:
        text += f" With fewer than {FEW_BUYERS} won accounts the intervals may be too narrow."
    return text


def _shown(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
