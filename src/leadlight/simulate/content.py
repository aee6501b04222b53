"""What members read and reply to: library pages about a tag, and threads that members open."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.simulate.parameters import SimulationParameters

Array = NDArray[Any]
_FIRST_PAGE, _FIRST_THREAD = 1_001, 100_001


class Content:
    """Hand out content identifiers.

    Parameters
    ----------
    parameters : SimulationParameters
    rng : numpy.random.Generator
        Of its own, so that what is read does not change what is done.
    """

    def __init__(self, parameters: SimulationParameters, rng: np.random.Generator) -> None:
        self._rng, self._each = rng, parameters.pages_per_tag
        tags = len(parameters.early_tags + parameters.late_tags + parameters.topic_tags)
        # A page number of its own says nothing about the topic.
        self._page = _FIRST_PAGE + rng.permutation(tags * self._each)
        popularity = np.arange(1, self._each + 1) ** -1.0
        self._popularity = np.cumsum(popularity / popularity.sum())[:-1]
        self._next = _FIRST_THREAD

    def pages(self, tag: Array) -> Array:
        """Return a library page about each tag code."""
        place = np.searchsorted(self._popularity, self._rng.random(len(tag)), side="right")
        return np.asarray(self._page[tag.astype(np.int64) * self._each + place])

    def threads(self, time: Array) -> Array:
        """Return a new thread for each time, numbered in the order of time."""
        found = np.empty(len(time), np.int64)
        found[np.argsort(time, kind="stable")] = self._next + np.arange(len(time))
        self._next += len(time)
        return found
