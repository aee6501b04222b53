"""Faults, planted in what the sweep is given: so they are faults of every kernel, whatever its language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import leadlight.features.batch as batch_module
from leadlight.kernels.log import EncodedLog
from leadlight.moments import DAY_US

Inputs = dict[str, Any]
Change = Callable[[Inputs], Inputs]
FAR = 2**62


def plant(patch: pytest.MonkeyPatch, change: Change) -> None:
    """Let `build_features` give the sweep changed inputs; a "divide" among them divides what comes out."""
    sweep = batch_module.sweep

    def faulty(plan: Any, log: Any, entity: Any, cutoff: Any, **more: Any) -> Any:
        inputs = change({"plan": plan, "log": log, "entity": entity, "cutoff": cutoff, **more})
        divide = inputs.pop("divide", 1)
        first = [inputs.pop(name) for name in ("plan", "log", "entity", "cutoff")]
        found = sweep(*first, **inputs)
        found /= np.float32(divide)
        return found

    patch.setattr(batch_module, "sweep", faulty)


def cutoffs(change: Callable[[Any], Any]) -> Change:
    return lambda inputs: {**inputs, "cutoff": change(inputs["cutoff"])}


def plans(change: Callable[[Any], Any]) -> Change:
    return lambda inputs: {**inputs, "plan": change(inputs["plan"])}


def logs(change: Callable[[EncodedLog], Inputs]) -> Change:
    """Change arrays of the log, of those that it has."""

    def changed(inputs: Inputs) -> Inputs:
        log = inputs["log"]
        arrays = {n: v for n, v in change(log).items() if v is None or getattr(log, n) is not None}
        return {**inputs, "log": replace(log, **arrays)}

    return changed


def visible(log: EncodedLog) -> Any:
    return log.time if log.visible_from is None else log.visible_from


def shorter_windows(plan: Any) -> Any:
    """Windows that leave out what is exactly a window old."""
    columns = (replace(c, windows=tuple(w - 1 if w else w for w in c.windows)) for c in plan.columns)
    return replace(plan, columns=tuple(columns))


def busiest(inputs: Inputs) -> Inputs:
    """Divide by the most rows that anybody has in the whole log, those after the cutoff too."""
    actor = inputs["log"].actor
    return {**inputs, "divide": max(int(np.bincount(actor[actor >= 0]).max(initial=0)), 1)}


LEAKS: dict[str, Change] = {
    "the cutoff itself counts": cutoffs(lambda at: at + 1),
    "the whole day of the cutoff counts": cutoffs(lambda at: (at // DAY_US + 1) * DAY_US),
    "features reach into the label window": cutoffs(lambda at: at + 90 * DAY_US),
    "when it was known is ignored": logs(lambda log: {"visible_from": None}),
    "a global maximum divides": busiest,
}
"""Faults that let the future in."""

MISCOUNTS: dict[str, Change] = {
    **LEAKS,
    "what is exactly a window old is out": plans(shorter_windows),
    "windows end at the last midnight": cutoffs(lambda at: at // DAY_US * DAY_US),
    "windows go by when it was known": logs(lambda log: {"visible_from": None, "time": visible(log)}),
    "what is known late is never used": logs(
        lambda log: {"visible_from": np.where(visible(log) > log.time, FAR, log.time)}
    ),
    "half an hour exactly ends a visit": plans(lambda p: replace(p, session_gap_us=p.session_gap_us - 1)),
    "who has no account shares one": lambda i: {**i, "account_of": np.maximum(i["account_of"], 0)},
    "nobody joined": lambda i: {**i, "joined": np.full_like(i["joined"], np.iinfo(np.int64).min)},
    "half a thousandth is rounded up": logs(
        lambda log: {"duration_ms": np.where(log.duration_ms == 62, 63, log.duration_ms)}
    ),
    "an empty value fills a field": logs(lambda log: {"filled": np.ones(len(log), bool)}),
    "no domain is the same": logs(lambda log: {"same_domain": np.zeros(len(log), bool)}),
}
"""Faults that any other way of counting shows."""
