"""tune: look for parameters that lose less than the default on later windows, and say whether they surely do."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from leadlight.qualifier.tuning.search import (
    SPACE,
    Attempt,
    Search,
    Space,
    Watch,
    judged,
    opened,
    optuna_module,
    state_of,
)
from leadlight.qualifier.tuning.windows import Judge, validation_windows

Values = NDArray[np.float64]

_LOG = logging.getLogger(__name__)

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
        In order, the default first: state ("default", "complete", "repeat" of an earlier setting, "pruned", "failed"), a
        column for each parameter of the space, log_loss and average_precision (means over the windows; NaN where not judged
        on all), windows (judged on), gain, low, high (of the log loss against the default; simultaneous 95 % intervals).
    windows : DataFrame
        One row for each validation window: first and last cutoff, rows and won accounts in training and in it, log loss of
        the default and of the best setting, and gain, low, high of that setting as if it alone had been tried.
    study : str
        Its name in the storage.
    resumed : int
        Trials, the default among them, that the storage held when the search began.
    interrupted : bool
        Ctrl-C ended the search early.
    attempts : tuple of Attempt
        Every trial as it was run, with its time, also those that died.
    """

    best: LeadClassifier
    accepted: bool
    sentence: str
    gain: tuple[float, float, float]
    trials: pd.DataFrame
    windows: pd.DataFrame
    study: str = "leadlight"
    resumed: int = 0
    interrupted: bool = False
    attempts: tuple[Attempt, ...] = ()

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
    study: str | None = "leadlight",
    space: Space | None = None,
    windows: int = 3,
    embargo: Duration | None = None,
    rounds: int = 500,
    seed: int = 0,
    watch: Watch | None = None,
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
        Settings to judge beside the default. Those that the study holds already are not run again; if it holds more, the
        later ones are left aside.
    storage : str or path, optional
        A URL such as "sqlite:///tuning.db", or the path of an SQLite file, where trials are kept as they finish. The same
        storage and study continue, also after the process was killed: what is there is not run again. None keeps them in
        memory.
    study : str, optional
        Name of the study in the storage. None: a name made of all that the study is bound to, so that other rows or settings
        begin another study in the same storage instead of an error.
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
    watch : callable, optional
        Called before each trial with the trials that are done, the default among them, and `trials`.

    Returns
    -------
    Tuning
        Ctrl-C ends the search early: it returns what was done by then, once the default is judged.

    Raises
    ------
    InputError
        Optuna is not installed, a parameter is out of range, the rows do not make a window, or the study was begun with other
        rows, features, space or settings.

    Warns
    -----
    LeadlightWarning
        A setting could not be fitted; it is left out. Where the default cannot be, its error is raised.

    Notes
    -----
    The objective is the mean over windows of the log loss of all later rows. Probabilities are calibrated on all training
    rows here, also where the qualifier would calibrate on those that sales approached: they are judged on all.
    """
    optuna_module()
    space = SPACE if space is None else space
    qualifier = model if isinstance(model, LeadQualifier) else LeadQualifier(classifier=model)
    default = LeadClassifier() if qualifier.classifier is None else clone(qualifier.classifier)
    check_search(default, space, trials, rounds)
    found = validation_windows(qualifier, community, observations, windows, embargo)
    judge = Judge(found, rounds, seed)
    with opened(storage) as kept_in:
        identity = _identity(judge, default, space, rounds, seed)
        search = Search(kept_in, study or _name_of(identity), default, space, judge, seed)
        search.check_same(identity)
        resumed = min(len(search.kept()), trials + 1)
        if resumed:
            _LOG.info("tune: study %r goes on after %d of %d trials", search.name, resumed - 1, trials)
        stopped = search.run(trials, watch or _unwatched)
        # Whatever more the storage holds: the answer is that of a search for so many.
        kept, attempts = search.kept()[: trials + 1], search.attempts(trials)
    tuning = _conclude(default, space, judge, kept, f"{len(found)} of {windows} later windows")
    text = tuning.sentence
    if stopped:
        text += f" Interrupted after {len(kept) - 1} of {trials} trials."
    return replace(
        tuning, sentence=text, study=search.name, resumed=resumed, interrupted=stopped, attempts=attempts
    )


def _unwatched(done: int, trials: int) -> None:
    _LOG.info("tune: %d of %d trials and the default are done", max(done - 1, 0), trials)


def _name_of(identity: Mapping[str, Any]) -> str:
    text = json.dumps(identity, sort_keys=True)
    return f"leadlight-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_search(default: Any, space: Space, trials: int, rounds: int) -> None:
    """Raise `InputError` where a search of these could not begin."""
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
        rows.append(
            {
                "state": state_of(trial, first=trial is kept[0]),
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
    failed = int((table["state"] == "failed").sum())
    on += (
        f", {failed} {'setting' if failed == 1 else 'settings'} left out that could not be fitted"
        if failed
        else ""
    )
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
