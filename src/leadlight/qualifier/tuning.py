"""Tuning with Optuna: a small space, judged on later windows, and the default where nothing beats it for sure."""

from __future__ import annotations

import base64
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.base import clone

from leadlight._version import __version__
from leadlight.community import Community
from leadlight.errors import InputError, LeadlightWarning, closest
from leadlight.estimators import LeadClassifier, TemporalSplit
from leadlight.evaluation.metrics import Ranking, log_loss_rows
from leadlight.evaluation.redraws import Redraws, effective, interval, union
from leadlight.features import build_features
from leadlight.moments import Duration, duration_us
from leadlight.observations import Observations
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.selection import choose, training_weight

Values = NDArray[np.float64]
Space = Mapping[str, Sequence[Any]]

SPACE: Final[Space] = {
    "blend": [True, False],
    "booster": ["lightgbm", "hist_gradient_boosting"],
    "n_folds": [3, 5, 10],
    "ridge": (0.001, 1.0),
}
"""What is tried unless a space is given: lists are choices, a tuple is a range on the log scale."""

LEAST_BUYERS = 5
"""A window whose training rows hold fewer won accounts is left out: it would judge the prior."""

FEW_BUYERS = 20
"""Below so many won accounts in the windows the sentence says that the interval may be too narrow."""

STARTUP, BEFORE_PRUNING = 10, 5
"""Trials drawn at random before the sampler learns from them, and trials finished before one can be pruned."""


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
        tried. NaN where no setting was judged on every window.
    gain_in_precision : tuple of three floats
        Average precision of that setting minus that of the default, and its 95 % interval as if it alone had been tried.
    trials : DataFrame
        See `to_pandas`.
    windows : DataFrame
        One row for each validation window: first and last cutoff, training and test rows, won accounts in both, and the
        default's log loss and average precision.
    """

    best: LeadClassifier
    accepted: bool
    sentence: str
    gain: tuple[float, float, float]
    gain_in_precision: tuple[float, float, float]
    trials: pd.DataFrame
    windows: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        """Return the trials, in order, the default first.

        Returns
        -------
        DataFrame
            state ("default", "complete", "repeat" of an earlier setting, "pruned"), a column for each parameter of the space,
            log_loss and average_precision (means over the windows; NaN where pruned), windows (judged on), gain, low, high
            (of the log loss against the default; simultaneous 95 % intervals).
        """
        return self.trials.copy()

    def history(self) -> pd.DataFrame:
        """Return trial, log_loss, best (so far) and default, ready to plot; pruned trials are left out."""
        done = self.trials["log_loss"].dropna()
        return pd.DataFrame(
            {
                "trial": done.index.to_numpy(),
                "log_loss": done.to_numpy(),
                "best": done.cummin().to_numpy(),
                "default": float(done.iloc[0]),
            }
        )

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
        The default to beat. A qualifier brings its catalogue and selection.
    community : Community
    observations : Observations
        Training rows alone: what is tuned on a test period cannot be judged on it. Rows without a label are left out.
    trials : int
        Settings in the study beside the default, with those that it holds already.
    storage : str or path, optional
        A URL such as "sqlite:///tuning.db", or the path of an SQLite file, where trials are kept as they finish. The same
        storage and study continue: what is there is not run again. None keeps them in memory.
    study : str
        Name of the study in the storage.
    space : mapping, optional
        Parameter of the classifier -> list of choices, or tuple (low, high) drawn on the log scale. `SPACE` by default.
    windows : int
        Validation windows of `TemporalSplit`. Those with fewer than 5 won accounts to train on, or none to test on, are left out.
    embargo : duration, optional
        Training windows end at least this long before the first cutoff of a validation window. They always end by it, so that
        training cutoffs lie gap + horizon before it, and labels are as known then.
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
    optuna = _optuna()
    space = SPACE if space is None else space
    qualifier = model if isinstance(model, LeadQualifier) else LeadQualifier(classifier=model)
    default = clone(qualifier.classifier) if qualifier.classifier is not None else LeadClassifier()
    _check(default, space, trials, rounds)
    judge = _Judge(_windows(qualifier, community, observations, windows, embargo), rounds, seed)
    identity = {
        "rows": judge.digest(),
        "features": _digest(judge.columns()),
        "space": _digest({name: [type(values).__name__, *values] for name, values in space.items()}),
        "classifier": repr(sorted(default.get_params().items())),
        "settings": {"rounds": rounds, "seed": seed},
        "versions": {"leadlight": __version__, "lightgbm": version("lightgbm")},
    }
    with _opened(optuna, storage) as opened:
        found = optuna.create_study(
            storage=opened,
            study_name=study,
            load_if_exists=True,
            # The Wilcoxon pruner tests window by window: of three windows its smallest p is 1/8.
            pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING),
        )
        _same(found, identity, study)
        search = _Search(optuna, found, default, space, judge, seed)
        interrupted = search.run(trials)
        kept = search.kept()
    return _conclude(default, space, judge, kept, trials if interrupted else None)


@dataclass(frozen=True)
class _Window:
    """Rows to train on and later rows to judge."""

    X: pd.DataFrame
    y: Values
    weight: Values
    groups: NDArray[Any]
    times: NDArray[np.int64]
    later: pd.DataFrame
    later_y: Values
    later_groups: NDArray[Any]


def _windows(
    qualifier: LeadQualifier,
    community: Community,
    observations: Observations,
    count: int,
    embargo: Duration | None,
) -> list[_Window]:
    """Return the windows that can be judged, with features compiled before each, as a qualifier fitted then would have them."""
    rows = observations.labelled()
    least = pd.Timedelta(rows.windows.reach_us, "us")
    wider = 0 if embargo is None else duration_us(embargo, name="embargo", zero=True)
    try:
        splits = list(
            TemporalSplit(count, max(least, pd.Timedelta(wider, "us")).to_pytimedelta()).split(rows.frame)
        )
    except InputError as error:
        raise InputError(f"{error} Give fewer windows, more cutoffs or a shorter horizon.") from error
    found = []
    for _, test in splits:
        start = int(rows.cutoff_us[test].min())
        # Labels and weights as they were known then, which positions alone would not give.
        train = rows.split(start, start, embargo=embargo)[0].labelled()
        later = rows.take(test)
        y, later_y = train.label.to_numpy(float), later.label.to_numpy(float)
        if len(np.unique(train.groups[y > 0])) < LEAST_BUYERS or not 0 < later_y.sum() < len(later_y):
            continue
        plan = qualifier.catalogue.compile(community, int(train.cutoff_us.max()))
        found.append(
            _Window(
                X=build_features(community, train, plan),
                y=y,
                weight=training_weight(choose(qualifier.selection, train), train),
                groups=train.groups,
                times=train.cutoff_us,
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


class _Judge:
    """Losses of a classifier on the windows, and how they move when accounts are redrawn."""

    def __init__(self, windows: list[_Window], rounds: int, seed: int) -> None:
        self.windows = windows
        self._y = np.concatenate([window.later_y for window in windows])
        self._of = np.repeat(np.arange(len(windows)), [len(window.later_y) for window in windows])
        self._redraws = Redraws(np.concatenate([window.later_groups for window in windows]), rounds, seed)
        self._won = self._redraws.per_account(self._y) > 0
        self.buyers = int(self._won.sum())
        self.evidence = effective(self._redraws.per_account(self._y))

    def columns(self) -> list[list[str]]:
        return [list(map(str, window.X.columns)) for window in self.windows]

    def digest(self) -> str:
        """Return a hash of all that the fits and the judgement read."""
        digest = hashlib.sha256()
        for w in self.windows:
            for part in (w.X.to_numpy(), w.y, w.weight, w.times, w.later.to_numpy(), w.later_y):
                digest.update(np.ascontiguousarray(part).tobytes())
            for groups in (w.groups, w.later_groups):
                digest.update("\n".join(map(str, groups)).encode())
        return digest.hexdigest()

    def probability(self, classifier: LeadClassifier, window: _Window) -> Values:
        """Return what a clone, fitted on the window's training rows, gives its later rows."""
        with warnings.catch_warnings():
            # Every fit on few deals would say so again; the sentence does once.
            warnings.simplefilter("ignore", LeadlightWarning)
            fitted = clone(classifier).fit(
                window.X, window.y, sample_weight=window.weight, groups=window.groups, times=window.times
            )
        p: Values = fitted.predict_proba(window.later)[:, 1]
        return p

    def draws(self, probability: Sequence[Values]) -> dict[str, Values]:
        """Return the figures in each draw, means over windows; `own` is what each won account adds to average precision."""
        joined = np.concatenate(probability)
        loss = log_loss_rows(joined, self._y)
        found: dict[str, list[Values]] = {"log_loss": [], "precision": [], "others": [], "own": []}
        for k, p in enumerate(probability):
            inside = (self._of == k).astype(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                found["log_loss"].append(self._redraws.sums(loss * inside) / self._redraws.sums(inside))
            # Ranked within the window: models of different dates need not agree on a scale.
            score = np.zeros(len(self._y))
            score[self._of == k] = p
            areas = Ranking(score, self._y).redrawn(self._redraws, inside)
            found["precision"].append(areas["average_precision"])
            found["others"].append(areas["precision_of_others"])
            found["own"].append(areas["precision_by_account"][self._won])
        return {name: np.mean(parts, axis=0) for name, parts in found.items()}


class _Search:
    """Trials of a study: the default first, then what the sampler proposes."""

    def __init__(
        self, optuna: Any, study: Any, default: LeadClassifier, space: Space, judge: _Judge, seed: int
    ) -> None:
        self._optuna, self._study, self._default = optuna, study, default
        self._space, self._judge, self._seed = space, judge, seed

    def run(self, trials: int) -> bool:
        """Run what is missing; return whether the user interrupted it, once the default was judged."""
        for number in range(len(self.kept()), trials + 1):
            # The state of a sampler is not stored: one seed for each trial makes a resumed study go on as if never stopped.
            seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP, multivariate=False, constant_liar=False
            )
            trial = self._study.ask()
            try:
                self._one(trial, is_default=number == 0)
            except BaseException as error:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                if isinstance(error, KeyboardInterrupt) and number > 0:
                    return True
                raise
        return False

    def kept(self) -> list[Any]:
        """Return the trials that were judged or pruned, the default first."""
        states = self._optuna.trial.TrialState
        found: list[Any] = self._study.get_trials(states=(states.COMPLETE, states.PRUNED))
        return found

    def _one(self, trial: Any, is_default: bool) -> None:
        params = {} if is_default else self._propose(trial)
        known = next((old for old in self.kept() if not is_default and old.params == params), None)
        if known is not None:
            trial.set_user_attr("repeats", known.number)
            values = known.intermediate_values
        else:
            values = {}
        pruned = self._optuna.trial.TrialState.PRUNED
        classifier = clone(self._default).set_params(**params)
        probability, losses = list[Values](), list[float]()
        for k, window in enumerate(self._judge.windows):
            if known is None:
                probability.append(self._judge.probability(classifier, window))
                losses.append(float(log_loss_rows(probability[-1], window.later_y).mean()))
                values[k] = float(np.mean(losses))
            elif k not in values:
                self._study.tell(trial, state=pruned)
                return
            trial.report(values[k], k)
            last = k == len(self._judge.windows) - 1
            if known is None and not last and trial.should_prune():
                self._study.tell(trial, state=pruned)
                return
        if known is None:
            for name, draws in self._judge.draws(probability).items():
                trial.set_user_attr(name, base64.b64encode(draws.tobytes()).decode())
            trial.set_user_attr("losses", losses)
        self._study.tell(trial, values[len(self._judge.windows) - 1])

    def _propose(self, trial: Any) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for name in sorted(self._space):
            values = self._space[name]
            if name == "ridge" and params.get("blend") is False:
                continue  # there is none
            if isinstance(values, tuple):
                params[name] = trial.suggest_float(name, *values, log=True)
            else:
                params[name] = trial.suggest_categorical(name, list(values))
        return params
