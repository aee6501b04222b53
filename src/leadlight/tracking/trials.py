"""Each trial of a tuning as its own result, and what the run says of the tuning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from leadlight.tracking.record import as_metrics, as_parameters, as_table

if TYPE_CHECKING:
    from leadlight.qualifier import Tuning


def trial_runs(tuning: Tuning | None) -> list[dict[str, Any]]:
    """Return name, parameters, metrics, state and times of each trial, also of those that died and were run again."""
    if tuning is None:
        return []
    found: list[dict[str, Any]] = []
    tries: dict[int, int] = {}
    for attempt in tuning.attempts:
        tries[attempt.trial] = tries.get(attempt.trial, 0) + 1
        died = attempt.state == "died"
        metrics: dict[str, Any] = {
            "trial.windows": attempt.windows,
            "trial.log_loss_so_far": attempt.log_loss,
            "trial.seconds": attempt.seconds,
        }
        if not died:
            row = tuning.trials.loc[attempt.trial]
            names = {"log_loss": "log_loss", "average_precision": "average_precision"}
            names |= {"gain": "gain", "low": "gain_low", "high": "gain_high"}
            metrics |= {f"trial.{shown}": row[name] for name, shown in names.items()}
        started = round(attempt.started.timestamp() * 1000)
        lasted = 0 if math.isnan(attempt.seconds) else round(attempt.seconds * 1000)
        found.append(
            {
                "name": f"trial {attempt.trial}"
                + (
                    f", attempt {tries[attempt.trial]}"
                    if died
                    else ", default" * (attempt.state == "default")
                ),
                "parameters": as_parameters({"trial": attempt.trial, **attempt.params}),
                "metrics": as_metrics(metrics),
                "tags": {"leadlight.kind": "trial", "trial.state": attempt.state},
                "status": "FAILED" if attempt.state in ("failed", "died") else "FINISHED",
                "started_ms": started,
                "ended_ms": started + lasted,
            }
        )
    return found


def tuning_parameters(tuning: Tuning | None) -> dict[str, Any]:
    """Return what was decided, why, and with which parameters the model was made."""
    if tuning is None:
        return {}
    return {
        "tuning.kept": kept(tuning),
        "tuning.why": tuning.sentence,
        "tuning.study": tuning.study,
        **{f"tuning.{name}": value for name, value in searched(tuning).items()},
    }


def tuning_metrics(tuning: Tuning | None) -> dict[str, float]:
    """Return the gain with its interval, and how many trials there were."""
    if tuning is None:
        return {}
    states = tuning.trials["state"]
    found = dict(zip(("tuning.gain", "tuning.gain_low", "tuning.gain_high"), tuning.gain, strict=True))
    return as_metrics(
        {
            **found,
            "tuning.default_log_loss": tuning.trials["log_loss"].iloc[0],
            "tuning.trials": len(states) - 1,
            "tuning.pruned": int((states == "pruned").sum()),
            "tuning.failed": int((states == "failed").sum()),
            "tuning.died": sum(attempt.state == "died" for attempt in tuning.attempts),
            "tuning.resumed": tuning.resumed,
        }
    )


def tuning_tables(tuning: Tuning | None) -> dict[str, dict[str, list[Any]]]:
    """Return the trials and the windows that judged them."""
    if tuning is None:
        return {}
    return {"tuning.json": as_table(tuning.trials), "tuning_windows.json": as_table(tuning.windows)}


def searched(tuning: Tuning) -> dict[str, Any]:
    """Return what was decided of each parameter that was searched."""
    return {name: value for name, value in tuning.best.get_params().items() if name in tuning.trials.columns}


def kept(tuning: Tuning | None) -> str:
    """Return "tuned" or "default"."""
    return "tuned" if tuning is not None and tuning.accepted else "default"
