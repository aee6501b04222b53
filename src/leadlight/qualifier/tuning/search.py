"""Trials in an Optuna study: the default first, then what the sampler proposes; each is stored as it finishes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import average_precision_score

from leadlight.errors import InputError, warn
from leadlight.estimators import LeadClassifier
from leadlight.evaluation.metrics import log_loss_rows
from leadlight.qualifier.tuning.windows import Judge

Values = NDArray[np.float64]
Space = Mapping[str, Sequence[Any]]
Watch = Callable[[int, int], None]

SPACE: Final[Space] = {
    "blend": [True, False],
    "booster": ["lightgbm", "hist_gradient_boosting"],
    "n_folds": [3, 5, 10],
    "ridge": (0.001, 1.0),
}
"""What is tried unless a space is given: lists are choices, a tuple is a range on the log scale."""

STARTUP, BEFORE_PRUNING = 10, 5
"""Trials drawn at random before the sampler learns from them, and trials finished before one can be pruned."""


@dataclass(frozen=True)
class Attempt:
    """One trial as it was run.

    Attributes
    ----------
    trial : int
        Row of `Tuning.trials`; of a trial that died the row that it would have been.
    state : {"default", "complete", "repeat", "pruned", "failed", "died"}
        "failed": its setting could not be fitted. "died": the search ended in it; it was run again, or will be.
    params : dict
        What it set.
    log_loss : float
        Mean over the windows that it was judged on; NaN where there is none.
    windows : int
        How many those are.
    started : datetime
        UTC.
    seconds : float
        NaN where its end is not known.
    """

    trial: int
    state: str
    params: Mapping[str, Any]
    log_loss: float
    windows: int
    started: datetime
    seconds: float


def optuna_module() -> Any:
    """Return Optuna, which is imported here only.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        with warnings.catch_warnings():
            # In a notebook without widgets a progress bar that nobody sees complains of it.
            warnings.simplefilter("ignore")
            import optuna
    except ImportError as error:
        raise InputError(
            "Tuning needs Optuna, which is not installed: pip install leadlight[tune]."
        ) from error
    return optuna


@contextmanager
def opened(storage: str | Path | None) -> Iterator[Any]:
    """Open the storage, without Optuna's lines for each trial, and close it; None stays in memory."""
    optuna = optuna_module()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = None
    try:
        if storage is not None:
            text = str(storage)
            try:
                found = optuna.storages.RDBStorage(text if "://" in text else f"sqlite:///{text}")
            except Exception as error:
                raise InputError(
                    f"storage {text!r} cannot be opened: {error}. Give a path in a folder that is there, or a URL such as "
                    "'sqlite:///tuning.db'."
                ) from error
        yield found
    finally:
        optuna.logging.set_verbosity(before)
        if found is not None:
            found.remove_session()
            found.engine.dispose()


class Search:
    """One study.

    Parameters
    ----------
    storage : object or None
        Of `opened`.
    name : str
        Of the study, which is continued where the storage holds it.
    default : LeadClassifier
    space : mapping
    judge : Judge
    seed : int
    """

    def __init__(
        self, storage: Any, name: str, default: LeadClassifier, space: Space, judge: Judge, seed: int
    ) -> None:
        self._optuna = optuna_module()
        self._study = self._optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            # The Wilcoxon pruner tests window by window: of three windows its smallest p is 1/8.
            pruner=self._optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING),
        )
        self.name = name
        self._default, self._space, self._judge, self._seed = default, space, judge, seed

    def check_same(self, identity: Mapping[str, Any]) -> None:
        """Write what a new study is of.

        Raises
        ------
        InputError
            The study is there and of something else.
        """
        known = self._study.user_attrs.get("leadlight")
        if known is None and not self._study.get_trials(deepcopy=False):
            self._study.set_user_attr("leadlight", dict(identity))
            return
        other = [part for part in identity if (known or {}).get(part) != identity[part]]
        if other:
            raise InputError(
                f"The study {self._study.study_name!r} in this storage was begun with other {', '.join(other)}: its trials "
                "cannot be compared with new ones. Give study= another name, or the same rows and settings as before."
            )

    def run(self, trials: int, watch: Watch) -> bool:
        """Run what is missing of the default and so many trials; return whether the user stopped it before."""
        for number in range(len(self.kept()), trials + 1):
            watch(number, trials)
            # The state of a sampler is not stored: one seed for each trial makes a resumed study go on as if never stopped.
            seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP, multivariate=False, constant_liar=False
            )
            trial = self._study.ask()
            try:
                self._one(trial, {} if number == 0 else self._propose(trial))
            except BaseException as error:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)
                if isinstance(error, KeyboardInterrupt) and number > 0:
                    return True
                raise
        return False

    def kept(self) -> list[Any]:
        """Return the trials that were judged, pruned or failed, the default first; those that died are not among them."""
        return [trial for trial in self._study.get_trials() if _ended(trial)]

    def attempts(self, trials: int) -> tuple[Attempt, ...]:
        """Return every trial in the order of the study, up to the last of the default and so many that were kept."""
        found: list[Attempt] = []
        kept = 0
        for trial in self._study.get_trials(deepcopy=False):
            if kept > trials:
                break
            whole = _ended(trial)
            seen = trial.intermediate_values
            found.append(
                Attempt(
                    trial=kept,
                    state=state_of(trial, first=kept == 0) if whole else "died",
                    params=dict(trial.params) if kept else _known(self._default, self._space),
                    log_loss=seen[max(seen)] if seen else float("nan"),
                    windows=len(seen),
                    started=_utc(trial.datetime_start),
                    seconds=_seconds(trial),
                )
            )
            kept += whole
        return tuple(found)

    def _one(self, trial: Any, params: Mapping[str, Any]) -> None:
        for old in self.kept() if params else ():
            if old.params == params:
                self._repeat(trial, old)
                return
        classifier = clone(self._default).set_params(**params)
        probability, losses = list[Values](), list[float]()
        for k, window in enumerate(self._judge.windows):
            try:
                probability.append(window.probability(classifier))
            except (MemoryError, OSError):
                raise  # that is the machine's fault, and may go well another time
            except Exception as error:
                if not params:
                    raise  # without the default there is nothing to compare with
                self._fail(trial, params, error)
                return
            losses.append(float(log_loss_rows(probability[-1], window.later_y).mean()))
            # Means so far: the pruner compares them with those of other trials after as many windows.
            trial.report(float(np.mean(losses)), k)
            if k < len(self._judge.windows) - 1 and trial.should_prune():
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
                return
        precision = [
            average_precision_score(w.later_y, p)
            for w, p in zip(self._judge.windows, probability, strict=True)
        ]
        trial.set_user_attr("losses", self._judge.losses(probability).tolist())
        trial.set_user_attr("average_precision", float(np.mean(precision)))
        self._study.tell(trial, float(np.mean(losses)))

    def _fail(self, trial: Any, params: Mapping[str, Any], error: Exception) -> None:
        """Finish a trial whose setting cannot be fitted; the same would happen again."""
        # Its message may name values of the rows, and the storage may be shared.
        trial.set_user_attr("error", type(error).__name__)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        what = ", ".join(f"{name}={value}" for name, value in params.items())
        warn(f"A setting is left out of the search, for it failed: {what} ({type(error).__name__}: {error}).")

    def _repeat(self, trial: Any, old: Any) -> None:
        """Finish a trial whose setting was judged before as that one was."""
        trial.set_user_attr("repeats", old.user_attrs.get("repeats", old.number))
        state = old.state
        if "error" in old.user_attrs:
            trial.set_user_attr("error", old.user_attrs["error"])
            state = self._optuna.trial.TrialState.FAIL
        for step, value in old.intermediate_values.items():
            trial.report(value, step)
        # A pruned one has its last mean as value, which it may not be told.
        self._study.tell(trial, old.value if judged(old) else None, state)

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


def judged(trial: Any) -> bool:
    """Whether a trial was judged on every window."""
    return bool(trial.state.name == "COMPLETE")


def state_of(trial: Any, *, first: bool) -> str:
    """Return what became of a trial that was kept; the first is the default."""
    if first:
        return "default"
    if "repeats" in trial.user_attrs:
        return "repeat"
    if "error" in trial.user_attrs:
        return "failed"
    return "complete" if judged(trial) else "pruned"


def _ended(trial: Any) -> bool:
    """Whether a trial came to its end, also if that was an error; it is not run again."""
    return trial.state.name in ("COMPLETE", "PRUNED") or "error" in trial.user_attrs


def _known(default: LeadClassifier, space: Space) -> dict[str, Any]:
    params = default.get_params()
    return {name: params[name] for name in space}


def _utc(moment: datetime) -> datetime:
    # Optuna keeps the clock of the machine without its zone.
    return moment.astimezone(UTC)


def _seconds(trial: Any) -> float:
    if trial.datetime_complete is None:
        return float("nan")
    return (_utc(trial.datetime_complete) - _utc(trial.datetime_start)).total_seconds()
