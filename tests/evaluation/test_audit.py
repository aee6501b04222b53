"""The leakage audit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from leadlight.errors import InputError, SchemaError
from leadlight.evaluation import audit_leakage

LEADS = Path(__file__).parents[2] / ".." / "shared" / "data" / "leads" / "x_education_leads" / "Leads.csv"


def clean(n=800, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.2).astype(int)
    frame = pd.DataFrame({f"x{j}": rng.normal(size=n) + 0.7 * y for j in range(4)})
    frame["country"] = rng.choice(["de", "fr", "in"], n)
    frame["often missing"] = np.where(rng.random(n) < 0.3, np.nan, 1.0)
    frame["name"] = [f"person {i}" for i in range(n)]
    frame["joined"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D")
    return frame, y


def test_a_clean_table_raises_no_alarm():
    frame, y = clean()
    audit = audit_leakage(frame, y)
    assert audit.clean
    assert audit.suspects == {}
    assert audit.checked == 8
    assert "none flagged" in str(audit)


LEAKS = {
    "a copy": lambda y, rng: y + rng.normal(size=len(y)) * 0.2,
    "turned round": lambda y, rng: -y + rng.normal(size=len(y)) * 0.2,
    "a word": lambda y, rng: np.where(y, "won", rng.choice(["new", "cold"], len(y))),
    "filled in later": lambda y, rng: np.where(y | (rng.random(len(y)) < 0.1), 1.0, np.nan),
    "a band": lambda y, rng: np.where(
        y, rng.uniform(0.4, 0.6, len(y)), rng.choice([-1, 2], len(y)) + rng.random(len(y)) * 0.1
    ),
    "a flag": lambda y, rng: y.astype(bool),
    "nullable": lambda y, rng: pd.array(y * 5, dtype="Int64"),
    "a date": lambda y, rng: (
        pd.Timestamp("2024-01-01") + pd.to_timedelta(y * 400 + rng.integers(0, 300, len(y)), "D")
    ),
    "a date or none": lambda y, rng: pd.Series(pd.Timestamp("2024-01-01"), range(len(y))).where(y == 1),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found_with_its_evidence(name):
    frame, y = clean()
    audit = audit_leakage(frame.assign(**{name: LEAKS[name](y, np.random.default_rng(1))}), y)
    assert list(audit.columns_flagged) == [name]
    assert "AUC" in audit.columns_flagged[name]


def test_an_excused_column_is_not_flagged():
    frame, y = clean()
    audit = audit_leakage(frame.assign(known=y), y, excuse=("known",))
    assert audit.clean
    assert audit.excused == ("known",)
    with pytest.raises(InputError, match="nowhere"):
        audit_leakage(frame, y, excuse=("nowhere",))


def test_a_name_makes_a_suspect_and_no_more():
    frame, y = clean()
    audit = audit_leakage(
        frame.rename(columns={"x0": "Last Activity", "x1": "lead_stage", "x2": "blasts"}), y
    )
    assert set(audit.suspects) == {"Last Activity", "lead_stage"}
    assert audit.clean


def test_a_column_that_tells_very_much_is_a_suspect():
    frame, y = clean()
    audit = audit_leakage(frame.assign(strong=y * 2 + np.random.default_rng(3).normal(size=len(y))), y)
    assert audit.clean
    assert "AUC of 0.9" in audit.suspects["strong"]


def test_a_handful_of_positives_is_no_evidence():
    rng = np.random.default_rng(0)
    y = np.r_[np.ones(3), np.zeros(200)]
    assert audit_leakage(pd.DataFrame(rng.normal(size=(203, 400))), y).clean


def test_arrays_and_other_frames_are_read():
    frame, y = clean()
    numbers = frame[["x0", "x1"]].assign(leak=y * 1.0)
    assert list(audit_leakage(numbers.to_numpy(), y).columns_flagged) == ["2"]
    assert list(audit_leakage(pl.from_pandas(numbers), y).columns_flagged) == ["leak"]
    assert list(numbers.columns) == ["x0", "x1", "leak"]


def test_columns_of_one_name_are_an_error():
    frame, y = clean()
    with pytest.raises(SchemaError, match="x0"):
        audit_leakage(frame.rename(columns={"x1": "x0"}), y)


def test_y_of_another_length_is_an_error():
    frame, y = clean()
    with pytest.raises(InputError, match="rows"):
        audit_leakage(frame, y[:-1])


def test_an_account_number_is_no_leak_when_accounts_stay_together():
    groups = np.repeat(np.arange(100), 8)
    y = (np.random.default_rng(0).random(100) < 0.3)[groups].astype(int)
    frame = pd.DataFrame({"account": [f"a{g}" for g in groups]})
    assert not audit_leakage(frame, y).clean
    assert audit_leakage(frame, y, groups=groups).clean


@pytest.mark.skipif(not LEADS.exists(), reason="the X Education table has no licence and is not shipped")
def test_x_education_columns_filled_in_after_the_contact_are_named():
    frame = pd.read_csv(LEADS)
    audit = audit_leakage(frame.drop(columns="Converted"), frame["Converted"])
    assert audit.clean
    assert set(audit.suspects) == {"Tags", "Lead Quality", "Last Activity", "Last Notable Activity"}
    assert "0.9" in audit.suspects["Tags"]
