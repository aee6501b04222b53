"""Read LightGBM's text model without LightGBM.

Only what leadlight trains is accepted: boosted trees with constant leaves and one output. Everything else is
refused by name, for a model that is read wrongly is worse than one that is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError
from leadlight.kernels.trees import Trees

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Block(NamedTuple):
    """The key=value lines of the header or of one tree, and where they stand."""

    place: str
    lines: dict[str, str]


def parse_lightgbm(text: str) -> Trees:
    """Parse the text of ``Booster.model_to_string()``.

    Parameters
    ----------
    text : str
        Format v4, as LightGBM 4 writes it.

    Returns
    -------
    Trees
        Validated.

    Raises
    ------
    BundleError
        The text is truncated or damaged, of another version, or describes linear trees, several outputs per
        row or averaged trees (a random forest).
    """
    return parse_weighted([text], [1.0])


def parse_weighted(texts: Sequence[str], weights: Sequence[float]) -> Trees:
    """Parse several texts as one model, whose margin is the weighted sum of theirs.

    Parameters
    ----------
    texts : sequence of str
        At least one; see `parse_lightgbm`.
    weights : sequence of float
        What the leaves of each text are multiplied by.

    Returns
    -------
    Trees
        Those of the first text, then those of the second, and so on; validated.

    Raises
    ------
    BundleError
        As `parse_lightgbm`; or the texts read different numbers of columns.
    """
    blocks, widths, shares = list[_Block](), set[int](), list[float]()
    for text, weight in zip(texts, weights, strict=True):
        header, trees = _split(text)
        _check_header(header, len(trees))
        widths.add(_integer(header, "max_feature_idx") + 1)
        blocks += trees
        shares += [weight] * len(trees)
    if len(widths) != 1:
        raise BundleError(f"The models read {sorted(widths)} columns; only models of the same ones add up.")
    arrays = _arrays(blocks, np.array(shares))
    return Trees.from_arrays({**arrays, "n_features": widths.pop()})


def _split(text: str) -> tuple[_Block, list[_Block]]:
    """Return the lines of the header and of each tree."""
    text_lines = iter(text.splitlines())
    if next(text_lines, "").strip() != "tree":
        raise BundleError("This is not the text of a LightGBM model: it does not begin with 'tree'.")
    block = header = _Block("the header", {})
    blocks: list[_Block] = []
    lines = header.lines
    for line in text_lines:
        key, mark, value = line.partition("=")
        if key == "Tree":
            block = _Block(f"tree {len(blocks)}", {})
            if value.strip() != str(len(blocks)):
                raise _damaged(block, f"it is numbered {value.strip()!r}")
            blocks.append(block)
            lines = block.lines
        elif not mark:
            # LightGBM marks its header by words without a value.
            if key.strip() == "end of trees":
                return header, blocks
            lines[key] = ""
        elif key in lines:
            raise _damaged(block, f"it has {key[:40]!r} twice")
        else:
            lines[key] = value
    raise _damaged(block, "the text ends before 'end of trees'")


def _check_header(header: _Block, n_trees: int) -> None:
    version = header.lines.get("version", "").strip()
    if version != "v4":
        raise BundleError(f"The format is {version[:20]!r}; only 'v4' is read. Train with LightGBM 4.")
    if "average_output" in header.lines:
        raise BundleError("The model averages its trees (boosting='rf'); train with boosting='gbdt'.")
    for key in ("num_class", "num_tree_per_iteration"):
        number = _integer(header, key)
        if number != 1:
            raise BundleError(f"The model has {key}={number}; only models with one output are read.")
    sizes = len(header.lines.get("tree_sizes", "").split())
    if sizes != n_trees:
        raise _damaged(header, f"it announces {sizes} trees and {n_trees} follow")


def _arrays(blocks: Sequence[_Block], weights: Floats) -> dict[str, NDArray[Any]]:
    """Return the arrays of `Trees`: each key is read in all trees at once, for a call a tree costs more than its numbers."""
    one = np.ones(len(blocks), dtype=np.int64)
    linear = _integers(blocks, "is_linear", one)
    if linear.any():
        place = blocks[int(np.argmax(linear != 0))].place
        raise BundleError(f"The model has linear trees ({place}); train with linear_tree=False.")
    leaves, sets = _integers(blocks, "num_leaves", one), _integers(blocks, "num_cat", one)
    for key, least, found in (("num_leaves", 1, leaves), ("num_cat", 0, sets)):
        if (found < least).any():
            k = int(np.argmax(found < least))
            raise _damaged(blocks[k], f"{key} is {found[k]}")
    nodes = leaves - 1
    left, right = _integers(blocks, "left_child", nodes), _integers(blocks, "right_child", nodes)
    feature = _integers(blocks, "split_feature", nodes)
    decision = _integers(blocks, "decision_type", nodes)
    threshold = _floats(blocks, "threshold", nodes)
    internal_count = _floats(blocks, "internal_count", nodes)
    leaf_value = _floats(blocks, "leaf_value", leaves)
    leaf_count = _leaf_count(blocks, leaves)
    offsets, words = _category_sets(blocks, sets)

    # Checked before the shift, after which a wrong position could be a right one of another tree.
    tree = np.repeat(np.arange(len(blocks)), nodes)
    for link in (left, right):
        within = (link >= -leaves[tree]) & (link < nodes[tree])
        _require(within, blocks, tree, "a child is out of bounds")
    categorical = (decision & 1) != 0
    known = (threshold >= 0) & (threshold < sets[tree])
    _require(known | ~categorical, blocks, tree, "a category set is out of bounds")

    # From positions in its tree to positions in all trees; ~(leaf + k) is ~leaf - k.
    first_node, first_leaf, first_set = (np.cumsum(sizes) - sizes for sizes in (nodes, leaves, sets))
    left, right = (np.where(k >= 0, k + first_node[tree], k - first_leaf[tree]) for k in (left, right))
    return {
        "root": np.where(nodes > 0, first_node, ~first_leaf),
        "left": left,
        "right": right,
        "feature": feature,
        "threshold": np.where(categorical, threshold + first_set[tree], threshold),
        "decision": decision,
        "internal_count": internal_count,
        "leaf_value": leaf_value * np.repeat(weights, leaves),
        "leaf_count": leaf_count,
        "category_offset": offsets,
        "category_word": words,
    }


def _leaf_count(blocks: Sequence[_Block], leaves: Integers) -> Floats:
    for k in np.flatnonzero(leaves == 1).tolist():
        # Some versions write no count for a tree of one leaf. Nothing is divided by it: any positive one will do.
        if blocks[k].lines.get("leaf_count", "").strip() in ("", "0"):
            blocks[k].lines["leaf_count"] = "1"
    return _floats(blocks, "leaf_count", leaves)


def _category_sets(blocks: Sequence[_Block], sets: Integers) -> tuple[Integers, Integers]:
    """Return where each set of categories begins among the words of all trees, and the words."""
    offsets, words, total = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)], 0
    for k in np.flatnonzero(sets).tolist():
        own = _integers([blocks[k]], "cat_threshold", None)
        bounds = _integers([blocks[k]], "cat_boundaries", sets[[k]] + 1)
        if bounds[0] != 0 or bounds[-1] != len(own):
            raise _damaged(blocks[k], "cat_boundaries do not fit cat_threshold")
        offsets.append(bounds[1:] + total)
        words.append(own)
        total += len(own)
    return np.concatenate(offsets), np.concatenate(words)


def _integers(blocks: Sequence[_Block], key: str, sizes: Integers | None) -> Integers:
    return _numbers(blocks, key, sizes, np.dtype(np.int64))


def _floats(blocks: Sequence[_Block], key: str, sizes: Integers) -> Floats:
    return _numbers(blocks, key, sizes, np.dtype(np.float64))


def _integer(block: _Block, key: str) -> int:
    return int(_integers([block], key, np.ones(1, np.int64))[0])


def _numbers(
    blocks: Sequence[_Block], key: str, sizes: Integers | None, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return the numbers of one key in all blocks, one after the other; `sizes` says how many each must have."""
    wanted = [None] * len(blocks) if sizes is None else sizes.tolist()
    tokens: list[str] = []
    for block, size in zip(blocks, wanted, strict=True):
        if key not in block.lines:
            raise _damaged(block, f"{key} is missing")
        own = block.lines[key].split()
        if size is not None and len(own) != size:
            raise _damaged(block, f"{key} has {len(own)} values instead of {size}")
        tokens += own
    whole = dtype.kind == "i"
    try:
        # Python's own conversions, for NumPy's also take words that are no number.
        return np.fromiter(map(int if whole else float, tokens), dtype, len(tokens))
    except (ValueError, OverflowError) as error:
        if len(blocks) > 1:
            # Read again on its own, the block that holds it says so.
            for k in range(len(blocks)):
                _numbers(blocks[k : k + 1], key, None, dtype)
        what = "a 64-bit integer" if whole else "a number"
        raise _damaged(blocks[0], f"{key} holds something that is not {what}") from error


def _require(sound: NDArray[np.bool_], blocks: Sequence[_Block], tree: Integers, problem: str) -> None:
    """Refuse what is not sound, by the tree that it belongs to."""
    if not sound.all():
        raise _damaged(blocks[int(tree[np.argmin(sound)])], problem)


def _damaged(block: _Block, problem: str) -> BundleError:
    return BundleError(
        f"LightGBM's text model is damaged in {block.place}: {problem}. Save or train it again."
    )
