"""Read LightGBM's text model without LightGBM.

Only what leadlight trains is accepted: boosted trees with constant leaves and one output. Everything else is
refused by name, for a model that is read wrongly is worse than one that is not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError
from leadlight.kernels.trees import Trees

_Block = dict[str, str]


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
    header, blocks = _split(text)
    _check_header(header, len(blocks))
    parts: dict[str, list[NDArray[Any]]] = {
        name: [np.zeros(0, dtype=dtype)]
        for name, dtype in (
            ("root", np.int64),
            ("left", np.int64),
            ("right", np.int64),
            ("feature", np.int64),
            ("threshold", np.float64),
            ("decision", np.int64),
            ("internal_count", np.float64),
            ("leaf_value", np.float64),
            ("leaf_count", np.float64),
            ("category_word", np.int64),
        )
    }
    offsets = [np.zeros(1, dtype=np.int64)]
    nodes = leaves = sets = words = 0
    for number, block in enumerate(blocks):
        tree = _read_tree(block, f"tree {number}")
        boundaries = tree.pop("category_offset")
        categorical = (tree["decision"] & 1) != 0
        # From positions in this tree to positions in all trees; ~(leaf + k) is ~leaf - k.
        for side in ("root", "left", "right"):
            tree[side] = np.where(tree[side] >= 0, tree[side] + nodes, tree[side] - leaves)
        tree["threshold"] = np.where(categorical, tree["threshold"] + sets, tree["threshold"])
        offsets.append(boundaries[1:] + words)
        for name, array in tree.items():
            parts[name].append(array)
        nodes += len(tree["left"])
        leaves += len(tree["leaf_value"])
        sets += len(boundaries) - 1
        words += len(tree["category_word"])
    arrays = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    width = _integer(header, "max_feature_idx", "the header") + 1
    return Trees.from_arrays({**arrays, "category_offset": np.concatenate(offsets), "n_features": width})


def _split(text: str) -> tuple[_Block, list[_Block]]:
    """Return the key=value lines of the header and of each tree."""
    lines = iter(text.splitlines())
    if next(lines, "").strip() != "tree":
        raise BundleError("This is not the text of a LightGBM model: it does not begin with 'tree'.")
    header: _Block = {}
    blocks: list[_Block] = []
    block, place = header, "the header"
    for line in lines:
        if line.strip() == "end of trees":
            return header, blocks
        key, _, value = line.partition("=")
        if key == "Tree":
            place = f"tree {len(blocks)}"
            if value.strip() != str(len(blocks)):
                raise _damaged(place, f"it is numbered {value.strip()!r}")
            block = {}
            blocks.append(block)
        elif key.strip():
            if key in block:
                raise _damaged(place, f"it has {key[:40]!r} twice")
            block[key] = value
    raise _damaged(place, "the text ends before 'end of trees'")


def _check_header(header: _Block, n_trees: int) -> None:
    version = header.get("version", "").strip()
    if version != "v4":
        raise BundleError(f"The format is {version[:20]!r}; only 'v4' is read. Train with LightGBM 4.")
    if "average_output" in header:
        raise BundleError("The model averages its trees (boosting='rf'); train with boosting='gbdt'.")
    for key in ("num_class", "num_tree_per_iteration"):
        number = _integer(header, key, "the header")
        if number != 1:
            raise BundleError(f"The model has {key}={number}; only models with one output are read.")
    sizes = len(header.get("tree_sizes", "").split())
    if sizes != n_trees:
        raise _damaged("the header", f"it announces {sizes} trees and {n_trees} follow")


def _read_tree(block: _Block, place: str) -> dict[str, NDArray[Any]]:
    """Read one tree into the arrays of `Trees`, with positions counted from its own first node and leaf."""
    if _integer(block, "is_linear", place) != 0:
        raise BundleError(f"The model has linear trees ({place}); train with linear_tree=False.")
    m = _integer(block, "num_leaves", place)
    n = m - 1
    if m < 1:
        raise _damaged(place, f"num_leaves is {m}")
    n_sets = _integer(block, "num_cat", place)
    tree = {
        "root": np.array([0 if n else -1]),
        "left": _integers(block, "left_child", n, place),
        "right": _integers(block, "right_child", n, place),
        "feature": _integers(block, "split_feature", n, place),
        "threshold": _floats(block, "threshold", n, place),
        "decision": _integers(block, "decision_type", n, place),
        "internal_count": _floats(block, "internal_count", n, place),
        "leaf_value": _floats(block, "leaf_value", m, place),
        "leaf_count": _leaf_count(block, m, place),
        "category_offset": np.zeros(1, dtype=np.int64),
        "category_word": np.zeros(0, dtype=np.int64),
    }
    if n_sets != 0:
        words = _integers(block, "cat_threshold", None, place)
        boundaries = _integers(block, "cat_boundaries", n_sets + 1, place)
        if boundaries[0] != 0 or boundaries[-1] != len(words):
            raise _damaged(place, "cat_boundaries do not fit cat_threshold")
        tree.update(category_offset=boundaries, category_word=words)
    # Checked before the shift, after which a wrong position could be a right one of another tree.
    link = np.concatenate([tree["left"], tree["right"]])
    if ((link < -m) | (link >= n)).any():
        raise _damaged(place, "a child is out of bounds")
    index = tree["threshold"][(tree["decision"] & 1) != 0]
    if not ((index >= 0) & (index < n_sets)).all():
        raise _damaged(place, "a category set is out of bounds")
    return tree


def _leaf_count(block: _Block, m: int, place: str) -> NDArray[np.float64]:
    # Some versions write no count for a tree of one leaf. Nothing is divided by it: any positive one will do.
    if m == 1 and block.get("leaf_count", "").strip() in ("", "0"):
        return np.ones(1)
    return _floats(block, "leaf_count", m, place)


def _tokens(block: _Block, key: str, size: int | None, place: str) -> list[str]:
    if key not in block:
        raise _damaged(place, f"{key} is missing")
    tokens = block[key].split()
    if size is not None and len(tokens) != size:
        raise _damaged(place, f"{key} has {len(tokens)} values instead of {size}")
    return tokens


def _integers(block: _Block, key: str, size: int | None, place: str) -> NDArray[np.int64]:
    tokens = _tokens(block, key, size, place)
    try:
        return np.array([int(token) for token in tokens], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise _damaged(place, f"{key} holds something that is not a 64-bit integer") from error


def _floats(block: _Block, key: str, size: int, place: str) -> NDArray[np.float64]:
    tokens = _tokens(block, key, size, place)
    try:
        return np.array([float(token) for token in tokens], dtype=np.float64)
    except ValueError as error:
        raise _damaged(place, f"{key} holds something that is not a number") from error


def _integer(block: _Block, key: str, place: str) -> int:
    return int(_integers(block, key, 1, place)[0])


def _damaged(place: str, problem: str) -> BundleError:
    return BundleError(f"LightGBM's text model is damaged in {place}: {problem}. Save or train it again.")
