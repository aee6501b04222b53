"""Four kinds of damage, a thousand bundles each: refused by one error, or sound; see `tests.runtime.fuzz`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.fuzz import KINDS

import leadlight
from leadlight.plan import Plan
from leadlight.runtime import Linear, Model, Scorer
from leadlight.runtime.encoding import Encoding
from leadlight.runtime.lightgbm_text import parse_lightgbm

ROOT = Path(__file__).parents[2]
SAMPLE, ALL = 40, 1_000

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="every bundle is loaded in a forked child")


@pytest.fixture(scope="module")
def categorical(model):
    """A model without a plan, whose trees split on sets of categories and whose rows are encoded."""
    import lightgbm

    rng = np.random.default_rng(3)
    X = np.column_stack([rng.integers(0, 40, 600), rng.normal(size=600), rng.normal(size=600)]).astype(float)
    y = np.isin(X[:, 0], [1, 5, 33, 38]) + 0.5 * X[:, 1] + rng.normal(size=600) > 0.6
    quiet = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 5}
    data = lightgbm.Dataset(X, y.astype(float), categorical_feature=[0])
    booster = lightgbm.train(quiet | {"min_data_per_group": 5, "max_cat_to_onehot": 1}, data, 6)
    trees = parse_lightgbm(booster.model_to_string())
    assert len(trees.category_word), "no split on categories"
    encoding = Encoding(
        levels=(None, None, ("fi", "de")),
        source=np.array([0, 1, 2]),
        start=np.array([-1, -1, 0]),
        values=np.array([0.5, -0.25, 0.125, 0.0]),
    )
    linear = Linear(np.zeros(3), np.ones(3), np.full(3, 0.1), np.zeros(3), np.zeros(3), 0.2)
    return Scorer(
        replace(model, columns=("a", "b", "c"), trees=trees, linear=linear, encoding=encoding),
        Plan(keys=(), columns=(), behaviours=()),
    )


@pytest.fixture(scope="module")
def bundles(scorer, model: Model, plan, categorical, tmp_path_factory):
    """Two bundles to be damaged, and one that gives parts for splices."""
    folder = tmp_path_factory.mktemp("bundles")
    scorer.save(folder / "events")
    categorical.save(folder / "rows")
    assert model.linear is not None
    other = replace(model, linear=replace(model.linear, coef=model.linear.coef[::-1].copy()), threshold=0.1)
    Scorer(other, plan, scorer.info).save(folder / "donor")
    return [folder / name for name in ("events", "rows", "donor")]


def tried(bundles, kind, count):
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.fuzz", *bundles, "--kind", kind, "--count", str(count)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(leadlight.__file__).parents[1]),
            "OPENBLAS_NUM_THREADS": "1",  # the children fork from one thread
        },
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return {what: n for what, n in json.loads(done.stdout).items() if what.startswith(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bundles_are_refused_or_sound(bundles, kind):
    found = tried(bundles, kind, SAMPLE)
    assert found[f"{kind}, hashes: refused"] > SAMPLE
    assert found[f"{kind}, no hashes: refused"] > SAMPLE


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_damaged_bundles_are_refused_or_sound(bundles, kind):
    found = tried(bundles, kind, ALL)
    assert found[f"{kind}, hashes: refused"] > ALL
    assert found[f"{kind}, no hashes: refused"] > ALL
    if kind == "edited":
        assert found["edited, no hashes: sound"] > 0
