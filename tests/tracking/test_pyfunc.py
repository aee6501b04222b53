"""The bundle as an MLflow model says what the Scorer says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import leadlight as ll
from leadlight.errors import InputError, SchemaError
from leadlight.tracking.pyfunc import LeadModel
from leadlight.tracking.served_events import EVENT_COLUMNS

COLUMNS = ["probability", "low", "high", "percentile", "grade", "qualified", "reasons", "model_version"]


@pytest.fixture(scope="module")
def folder(logged) -> Path:
    """The model as MLflow stores it."""
    return next(
        (logged.folder / "mlartifacts").rglob(f"{logged.run.model_uri.removeprefix('models:/')}/artifacts")
    )


@pytest.fixture(scope="module")
def model(folder):
    return mlflow.pyfunc.load_model(str(folder))


def test_the_uri_of_the_run_loads_the_model(logged, trained):
    mlflow.set_tracking_uri(logged.uri)
    try:
        found = mlflow.pyfunc.load_model(logged.run.model_uri).predict(trained.X)
    finally:
        mlflow.set_tracking_uri(None)
    assert np.abs(found["probability"] - trained.qualifier.predict_proba(trained.X)[:, 1]).max() <= 1e-12


def test_every_column_is_the_scorers(model, trained):
    found = model.predict(trained.X)
    expected = trained.qualifier.scorer_.predict_rows(trained.X)
    assert list(found.columns) == COLUMNS
    assert found.index.equals(trained.X.index)
    for name in ("probability", "low", "high", "percentile"):
        assert np.abs(found[name] - [getattr(p, name) for p in expected]).max() <= 1e-12
    for name in ("grade", "qualified", "model_version"):
        assert found[name].tolist() == [getattr(p, name) for p in expected]
    assert found["reasons"].tolist() == [[r.text for r in p.reasons] for p in expected]


def test_a_new_process_says_the_same(folder, logged, trained, tmp_path):
    trained.X.reset_index(drop=True).to_parquet(tmp_path / "X.parquet")
    program = """
import json, sys
import mlflow, pandas as pd, leadlight as ll
X = pd.read_parquet(sys.argv[3])
served = mlflow.pyfunc.load_model(sys.argv[1]).predict(X)
alone = ll.load(sys.argv[2]).predict_proba(X)[:, 1]
print(json.dumps([served["probability"].tolist(), alone.tolist(), "sklearn" in sys.modules, "lightgbm" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(logged.bundle), str(tmp_path / "X.parquet")],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": str(Path(ll.__file__).parents[1]),
        },
    )
    assert done.returncode == 0, done.stderr
    served, alone, _, trains = json.loads(done.stdout)
    here = trained.qualifier.predict_proba(trained.X)[:, 1]
    assert np.abs(np.array(served) - here).max() <= 1e-12
    assert np.abs(np.array(alone) - here).max() <= 1e-12
    assert not trains  # a scoring server needs no booster library


def test_columns_are_found_by_name(model, trained):
    expected = model.predict(trained.X)["probability"]
    assert (model.predict(trained.X[trained.X.columns[::-1]])["probability"] == expected).all()


def test_float32_and_missing_values_pass_through_the_signature_unchanged(model, trained):
    rows = trained.X.head(20)
    assert rows.isna().to_numpy().any()
    assert (rows.dtypes == np.float32).all()
    exact = trained.qualifier.predict_proba(rows)[:, 1]
    assert (model.predict(rows)["probability"].to_numpy() == exact).all()
    assert (model.predict(rows.astype(np.float64))["probability"].to_numpy() == exact).all()


def test_a_column_that_is_missing_altogether_is_refused(model, trained):
    lacking = trained.X.columns[0]
    with pytest.raises(SchemaError, match=lacking):
        model.predict(trained.X.drop(columns=lacking))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_parameter_says_how_many_reasons(model, trained, n):
    found = model.predict(trained.X.head(50), params={"reasons": n})["reasons"]
    assert found.map(len).max() == n


def test_three_reasons_are_the_default(model, trained):
    assert model.predict(trained.X.head(50))["reasons"].map(len).max() == 3


@pytest.mark.parametrize("n", [-1, True, 1.5, "two"])
def test_a_number_of_reasons_that_is_none_is_an_error(trained, n):
    with pytest.raises(InputError, match="number of reasons"):
        LeadModel(trained.qualifier.scorer_).predict(trained.X, {"reasons": n})


def test_no_rows_give_an_empty_result_with_the_right_columns(model, trained):
    found = model.predict(trained.X.head(0))
    assert list(found.columns) == COLUMNS
    assert (len(found), found["probability"].dtype, found["qualified"].dtype) == (0, np.float64, bool)


def test_the_signature_names_every_feature_as_a_double(model, trained):
    signature = model.metadata.signature
    columns = list(trained.qualifier.plan_.column_names)
    assert signature.inputs.input_names() == [*columns, *EVENT_COLUMNS]
    kinds = dict(zip(signature.inputs.input_names(), signature.inputs.input_types(), strict=True))
    assert {str(kinds[name]) for name in columns} == {"DataType.double"}
    assert signature.outputs.input_names() == COLUMNS
    assert [(p.name, p.default) for p in signature.params.params] == [("reasons", 3), ("at", None)]


def test_the_example_is_the_golden_rows_and_can_be_scored(model, logged):
    golden = np.load(logged.bundle / "golden_x.npy")
    example = model.input_example
    assert np.array_equal(example.to_numpy(float), golden[: len(example)], equal_nan=True)
    assert np.isfinite(model.predict(example)["probability"]).all()


def test_the_result_fits_the_output_signature(model, trained):
    from mlflow.models import infer_signature

    found = infer_signature(model_output=model.predict(trained.X.head(20))).outputs
    assert [(c.name, str(c.type)) for c in found] == [
        (c.name, str(c.type)) for c in model.metadata.signature.outputs
    ]


def test_requirements_pin_what_serves(folder):
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in lines] == ["leadlight", "mlflow", "numpy", "pandas"]
    assert all("==" in line for line in lines)


def test_the_loader_is_a_module_and_the_bundle_is_the_data(folder, logged):
    text = (folder / "MLmodel").read_text()
    assert "loader_module: leadlight.tracking.pyfunc" in text
    for path in logged.bundle.iterdir():
        assert (folder / "data" / "bundle" / path.name).read_bytes() == path.read_bytes()


def test_a_frame_without_index_labels_is_scored_in_order(model, trained):
    plain = trained.X.reset_index(drop=True)
    assert model.predict(plain).index.equals(pd.RangeIndex(len(plain)))
