"""Tuning inside a training job: on the earlier rows alone, kept only where it surely gains, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from leadlight.errors import InputError, LeadlightError, warn
from leadlight.tracking.record import redacted
from leadlight.tracking.trials import kept, searched

if TYPE_CHECKING:
    from leadlight.community import Community
    from leadlight.observations import Observations
    from leadlight.qualifier import LeadQualifier, Tuning
    from leadlight.tracking.config import TrainConfig, TuningConfig

Say = Callable[[str], None]


@dataclass(frozen=True)
class Tuned:
    """What the job trains with.

    Attributes
    ----------
    qualifier : LeadQualifier
        Unfitted; with the chosen parameters, or as it was.
    tuning : Tuning or None
        None where the rows did not allow one.
    sentence : str
        What was decided, and why.
    """

    qualifier: LeadQualifier
    tuning: Tuning | None
    sentence: str

    @property
    def kept(self) -> str:
        """Whether parameters were "tuned", or the "default" stayed."""
        return kept(self.tuning)

    @property
    def unsearched(self) -> dict[str, str]:
        """What the run says where there was no search; with one, the tuning itself tells more."""
        return {} if self.tuning is not None else {"tuning.kept": self.kept, "tuning.why": self.sentence}


def storage_of(config: TrainConfig) -> str:
    """Return where the study is kept: what the configuration names, or a file beside the bundle."""
    if config.tuning.storage is not None:
        return config.tuning.storage
    bundle = Path(config.bundle)
    return str(bundle.with_name(f"{bundle.name}.tuning.db"))


def space_of(config: TuningConfig) -> dict[str, Any] | None:
    """Return the space as `tune` takes it: a range is a tuple there."""
    if not config.space:
        return None
    return {
        name: (values["low"], values["high"]) if isinstance(values, dict) else list(values)
        for name, values in config.space.items()
    }


def check_tuning(config: TrainConfig, qualifier: LeadQualifier) -> None:
    """Open the storage once, before a table is read.

    Raises
    ------
    InputError
        Optuna is not installed, a parameter cannot be tuned, or the storage cannot be opened.
    """
    from leadlight.qualifier.tuning.search import SPACE, opened, optuna_module
    from leadlight.qualifier.tuning.tuning import check_search

    optuna_module()
    asked = config.tuning
    check_search(qualifier.classifier, space_of(asked) or SPACE, asked.trials, asked.rounds)
    storage = storage_of(config)
    if asked.storage is None:
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened(storage):
            pass
    except InputError as error:
        # From None: what it was raised from repeats the password.
        raise InputError(f"tuning.storage: {redacted(str(error))}") from None


def tuned_on_earlier(
    config: TrainConfig, qualifier: LeadQualifier, community: Community, rows: Observations, say: Say
) -> Tuned:
    """Tune on the rows that train the model which the job judges; the later ones are not looked at.

    So it is whether or not the job judges itself: judging does not decide the model.

    Parameters
    ----------
    config : TrainConfig
    qualifier : LeadQualifier
        Unfitted: the default to beat.
    community : Community
    rows : Observations
        All rows of the job.
    say : callable
        Told how far the search is.

    Returns
    -------
    Tuned

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C: the trials that are done are in the storage.

    Warns
    -----
    LeadlightWarning
        The rows do not allow a search; the default is kept.
    """
    from leadlight.evaluation import earlier_and_later
    from leadlight.qualifier import tune

    asked, storage = config.tuning, storage_of(config)
    where = redacted(storage)

    begun = False

    def watch(done: int, trials: int) -> None:
        nonlocal begun
        if done and not begun:
            say(f"the study goes on: {done - 1} of {trials} trials and the default are in {where}")
        elif done:
            say(f"trial {done} of {trials}")
        begun = True

    try:
        train, _ = earlier_and_later(rows)
        tuning = tune(
            qualifier,
            community,
            train,
            trials=asked.trials,
            storage=storage,
            study=None,  # new data begin a study of their own, beside the old one
            space=space_of(asked),
            windows=asked.windows,
            embargo=asked.embargo,
            rounds=asked.rounds,
            seed=asked.seed,
            watch=watch,
        )
    except LeadlightError as error:
        sentence = f"The default is kept: it could not be tuned ({redacted(str(error)).rstrip('.')})."
        warn(sentence)
        return Tuned(qualifier, None, sentence)
    if tuning.interrupted:
        # A model that depends on when somebody lost patience would not be the one that this configuration makes.
        raise KeyboardInterrupt(f"tuning stopped; its trials are in {where}, the same job goes on from there")
    if tuning.resumed > asked.trials:
        say(f"the study was complete in {where}: no trial was run again")
    say(tuning.sentence)
    chosen: LeadQualifier = clone(qualifier).set_params(classifier=tuning.best)
    return Tuned(chosen, tuning, tuning.sentence)


def with_provenance(qualifier: LeadQualifier, tuned: Tuned, asked: TuningConfig) -> None:
    """Write into a fitted qualifier what its bundle says of the tuning: nothing that depends on when trials were run."""
    from leadlight.runtime import Scorer

    if not hasattr(qualifier, "classifier_"):
        return  # hand-set points have no bundle
    said: dict[str, Any] = {"kept": tuned.kept, "why": tuned.sentence}
    if tuned.tuning is not None:
        said |= {
            "trials": asked.trials,
            "windows": len(tuned.tuning.windows),
            "gain": dict(zip(("value", "low", "high"), tuned.tuning.gain, strict=True)),
            "parameters": searched(tuned.tuning),
        }
    old = qualifier.scorer_
    qualifier.scorer_ = Scorer(old.model, qualifier.plan_, {**old.info, "tuning": said})
