"""The trees of the learner: boosters of two kinds, in bags, grown round by round and joined to one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.trees import Trees
from leadlight.runtime.lightgbm_text import parse_weighted

Values = NDArray[np.float64]

KINDS: Final = ("plain", "extra", "stumps")
"""Boosters that search each split; that draw one threshold for each column and keep the best of those; and of trees with a
single split, which add up columns without joining them."""

OF_KIND: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "extra": {"extra_trees": True},
    # A tree of two leaves learns less than one of eight: it may go further each time.
    "stumps": {"num_leaves": 2, "learning_rate": 0.1},
}

MARKS: Final = (40, 80, 160, 320)
"""Numbers of trees that are compared out of fold."""

FEW, MANY = 500, 10_000
"""Won accounts between which the trees grow."""


FEW_ROWS = 2_000
"""Up to so many rows there are stumps in tables of numbers alone, too: they cost little, and joint effects cannot be seen."""


def tree_settings(won: int, rows: int, columns: int, statistics: bool = False) -> dict[str, Any]:
    """Return LightGBM's parameters: complexity follows won accounts, not rows.

    Parameters
    ----------
    won : int
        Won accounts.
    rows, columns : int
        Of what the trees are fitted to.
    statistics : bool, default=False
        Whether target statistics are among the columns.
    """
    grown = float(np.clip(np.log(max(won, 1) / FEW) / np.log(MANY / FEW), 0.0, 1.0))
    return {
        "learning_rate": 0.05 + 0.03 * grown,
        "num_leaves": round(8 * (31 / 8) ** grown),
        # Twenty rows a leaf leave nothing to split in a small table.
        "min_data_in_leaf": max(2, min(20, rows // 40)),
        # A tree that sees half of a few columns misses what two of them say together.
        "feature_fraction": max(0.25, min(0.8, 20 / max(columns, 1))),
        # The order of each bag's statistics makes its trees differ already.
        "bagging_fraction": 0.9 if statistics else 0.7,
        "bagging_freq": 1,
        # Event logs of more rows hold many for each won account, and gain from being held back further.
        "lambda_l2": 1.0 if statistics or rows <= FEW_ROWS else 3.0,
        "max_bin": 63,
    }


def bags(rows: int, statistics: bool) -> int:
    """Return how many boosters of each kind are averaged: fewer rows need more, and cost less.

    Each bag has its own order of rows for target statistics, which are noisy where a value has few rows.
    """
    if not statistics:
        return 2 if rows <= 2_000 else 1
    return 4 if rows <= 4_000 else 2 if rows <= 15_000 else 1


class Grower:
    """One booster that can be grown further.

    Parameters
    ----------
    data : lightgbm.Dataset
    settings : dict
        Of `tree_settings`, and what the user adds.
    kind : {"plain", "extra", "stumps"}
    seed, threads : int
    level : float, optional
        Log-odds that the first tree adds where rows start from scores of their own: LightGBM then adds no mean.
    """

    def __init__(
        self,
        data: lgb.Dataset,
        settings: dict[str, Any],
        kind: str,
        seed: int,
        threads: int,
        level: float = 0.0,
    ) -> None:
        fixed = {
            "objective": "binary",
            "verbosity": -1,
            "seed": seed,
            "deterministic": True,
            # The same trees as by rows, to the bit, in less time on one thread.
            "force_col_wise": True,
            "num_threads": threads,
        }
        self.booster = lgb.Booster({**fixed, **settings, **OF_KIND[kind]}, data)
        self._level = level
        self._rounds = self._read = 0
        self._margin: Values | float = 0.0

    def grow(self, rounds: int) -> None:
        """Add trees until there are `rounds`."""
        while self._rounds < rounds:
            self.booster.update()
            if self._rounds == 0 and self._level:
                self._raise()
            self._rounds += 1

    def _raise(self) -> None:
        leaves = self.booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"]
        for leaf in range(leaves):
            self.booster.set_leaf_output(0, leaf, self.booster.get_leaf_output(0, leaf) + self._level)

    def margin(self, X: Values) -> Values:
        """Return the raw margin of all trees; X is the same at each call, and only new trees are walked."""
        if self._rounds > self._read:
            added = self.booster.predict(
                X,
                raw_score=True,
                num_threads=1,
                start_iteration=self._read,
                num_iteration=self._rounds - self._read,
            )
            self._margin = self._margin + np.asarray(added, float)
            self._read = self._rounds
        return np.asarray(self._margin)


def dataset(
    X: Values,
    y: Values,
    weight: Values,
    max_bin: int,
    threads: int = 1,
    offset: Values | None = None,
    *,
    bundle: bool = True,
) -> lgb.Dataset:
    """Return rows as LightGBM reads them, columns f0..fn; several boosters may share it.

    `offset` is where scores start; `bundle` lets it keep columns together that are seldom other than 0 at once.
    """
    names = [f"f{j}" for j in range(X.shape[1])]
    params = {
        "verbosity": -1,
        "max_bin": max_bin,
        # A shared set must not drop columns that one booster's leaf size could not split.
        "feature_pre_filter": False,
        # Without a number of threads it sorts small tables with all of them, and they wait for each other.
        "num_threads": threads,
        "enable_bundle": bundle,
    }
    return lgb.Dataset(
        X, y, weight=weight, init_score=offset, feature_name=names, params=params, free_raw_data=False
    )


class Forest:
    """Boosters whose margins add up by weight.

    It keeps their texts alone: training rows go with the boosters.

    Parameters
    ----------
    boosters : sequence of lightgbm.Booster
    weights : sequence of float
        A booster of weight 0 is left out.
    """

    def __init__(self, boosters: Sequence[lgb.Booster], weights: Sequence[float]) -> None:
        self._weights = [weight for weight in weights if weight != 0.0]
        self._texts = [
            booster.model_to_string()
            for booster, weight in zip(boosters, weights, strict=True)
            if weight != 0.0
        ]

    def trees(self) -> Trees:
        """Return the trees that serve.

        Raises
        ------
        BundleError
            LightGBM writes its models in a way that is not known.
        """
        return parse_weighted(self._texts, self._weights)

    @cached_property
    def booster(self) -> lgb.Booster:
        """One booster of all trees. Nothing here needs it, so that it is made when somebody asks."""
        return lgb.Booster(model_str=_joined(self._texts, self._weights))

    def __getstate__(self) -> dict[str, Any]:
        # The same bytes, whether or not somebody has asked.
        return {name: value for name, value in vars(self).items() if name != "booster"}


def _joined(texts: Sequence[str], weights: Sequence[float]) -> str:
    """Return the text of one model: the trees of all, written under each other, with leaves scaled."""
    header, blocks, tail = "", list[str](), ""
    for text, weight in zip(texts, weights, strict=True):
        head, mark, rest = text.partition("Tree=0\n")
        trees, end, after = rest.partition("end of trees\n")
        if not header:
            header, tail = head, end + after
        blocks += [_scaled(part, weight) for part in (mark + trees).split("Tree=")[1:]]
    numbered = [f"Tree={k}\n{block}" for k, block in enumerate(blocks)]
    sizes = " ".join(str(len(block.encode())) for block in numbered)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in header.split("\n")]
    return "\n".join(lines) + "".join(numbered) + tail


def _scaled(block: str, weight: float) -> str:
    """Return a tree's lines after its number, with leaves scaled."""
    lines = block.split("\n")[1:]
    for k, line in enumerate(lines):
        key, _, values = line.partition("=")
        if key in ("leaf_value", "internal_value"):
            lines[k] = f"{key}=" + " ".join(repr(float(v) * weight) for v in values.split())
    return "\n".join(lines)
