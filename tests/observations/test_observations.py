"""Rows of one's own, splits by time, and what may be said of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.errors import ImmatureLabelError, InputError, LeakageError, SchemaError
from leadlight.observations import Observations, observe

ROWS = [
    {"member_id": "ann", "cutoff": "2024-01-01", "label": 1},
    {"member_id": "bob", "cutoff": "2024-01-01", "label": 0},
    {"member_id": "ann", "cutoff": "2024-07-01", "label": None},
]


@pytest.mark.parametrize(
    "make",
    [list, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist],
    ids=["rows", "pandas", "polars", "arrow"],
)
def test_own_rows_come_from_any_frame(make):
    own = Observations.from_frame(make(ROWS))
    assert own.frame["label"].tolist() == [1, 0, -1]
    assert own.cutoff_us[0] == 1_704_067_200_000_000


def test_a_label_that_is_not_known_is_na():
    own = Observations.from_frame(ROWS)
    assert own.label.dtype == "Int8"
    assert own.label.isna().tolist() == [False, False, True]
    assert own.to_pandas()["label"].dtype == "Int8"


def test_known_labels_are_int8_by_member_and_cutoff():
    label = Observations.from_frame(ROWS).labelled().label
    assert label.dtype == np.int8
    assert label.index.names == ["member_id", "cutoff"]
    assert label.index[0] == ("ann", pd.Timestamp("2024-01-01", tz="UTC"))


@pytest.mark.parametrize(
    "labels",
    [[True, False, None], pd.array([True, False, None], dtype="boolean"), [1.0, 0.0, np.nan],
     pd.array([1, 0, None], dtype="Int64")],
    ids=["objects", "boolean", "floats", "Int64"],
)  # fmt: skip
def test_labels_may_be_of_any_kind_that_says_yes_no_or_unknown(labels):
    own = Observations.from_frame(
        pd.DataFrame({"member_id": ["a", "b", "c"], "cutoff": "2024-01-01", "label": labels})
    )
    assert own.frame["label"].tolist() == [1, 0, -1]


@pytest.mark.parametrize("label", [2, "won", 0.5])
def test_other_labels_are_an_error_that_quotes_them(label):
    with pytest.raises(InputError, match=str(label)):
        Observations.from_frame([{"member_id": "ann", "cutoff": "2024-01-01", "label": label}])


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match=r"\['cutoff'\]"):
        Observations.from_frame([{"member_id": "ann"}])


@pytest.mark.parametrize("cutoff", [None, "soon", 5])
def test_a_cutoff_that_cannot_be_read_is_an_error(cutoff):
    with pytest.raises(InputError, match="cutoff"):
        Observations.from_frame([{"member_id": "ann", "cutoff": cutoff}])


def test_days_and_times_may_be_mixed_and_zones_are_kept():
    own = Observations.from_frame(
        [{"member_id": "a", "cutoff": c} for c in ("2024-01-01", "2024-01-01T02:00:00+02:00")]
    )
    assert len(set(own.cutoff_us)) == 1


def test_an_account_or_else_the_member_is_the_group():
    own = Observations.from_frame(
        [
            {"member_id": 1, "cutoff": "2024-01-01", "account_id": "x"},
            {"member_id": 2, "cutoff": "2024-01-01", "account_id": None},
        ]
    )
    assert own.groups.tolist() == ["account:x", "member:2"]


def test_rows_are_taken_by_mask_or_position():
    own = Observations.from_frame(ROWS)
    assert own.take(np.array([False, True, False])).frame["member_id"].tolist() == ["bob"]
    assert own.take(np.array([2, 0])).frame["label"].tolist() == [-1, 1]


LOG = "; ".join(f"ann view 2024-0{m}-01; bob view 2024-0{m}-01" for m in range(1, 8))


def test_training_rows_are_mature_by_the_bound_and_test_rows_begin_at_theirs(table):
    rows = observe(
        table(LOG), every="10d", horizon="20d", gap="10d", frozen_at="2024-12-01", start="2024-01-11"
    )
    train, test = rows.split("2024-04-10", "2024-04-20")
    assert train.frame["cutoff"].max() == pd.Timestamp("2024-03-11", tz="UTC")
    assert test.frame["cutoff"].min() == pd.Timestamp("2024-04-20", tz="UTC")


def test_a_win_that_became_known_later_is_no_label_in_training(table):
    deals = [{"member_id": m, "outcome": "won", "opened_at": "2024-02-01", "closed_at": "2024-03-05", "known_at": k}
             for m, k in (("ann", "2024-03-31T23:59:59.999999"), ("bob", "2024-04-01T00:00:00"))]  # fmt: skip
    train, _ = observe(
        table(LOG + "; cid view 2024-05-01", deals=deals), every="10d", horizon="20d", frozen_at="2024-12-01"
    ).split("2024-04-01", "2024-04-01")
    won = train.frame[train.frame["label"] == 1]
    assert set(won["member_id"]) == {"ann"}
    assert (train.frame.loc[train.frame["member_id"] == "bob", "weight"] == 1.0).all()
    assert "open" in set(train.frame.loc[train.frame["member_id"] == "bob", "outcome"])


def test_an_embargo_ends_training_that_long_before_the_test(table):
    rows = observe(table(LOG), every="10d", horizon="20d", frozen_at="2024-12-01", start="2024-01-11")
    last = [
        rows.split("2024-04-10", "2024-04-20", embargo=e)[0].frame["cutoff"].max()
        for e in (None, "5d", "10d", "11d", "30d")
    ]
    assert [f"{day:%m-%d}" for day in last] == ["03-21", "03-21", "03-21", "03-11", "03-01"]


def test_training_knows_nothing_from_the_embargo_on(table):
    deals = [
        {"member_id": "ann", "outcome": "won", "closed_at": "2024-02-05", "known_at": "2024-04-01T00:00:00"}
    ]
    rows = observe(table(LOG, deals=deals), every="10d", horizon="20d", frozen_at="2024-12-01")
    won = [int(rows.split("2024-04-10", "2024-04-10", embargo=e)[0].label.sum()) for e in ("8d", "9d")]
    assert won == [2, 0]


def test_an_embargo_that_leaves_no_training_rows_says_where_training_ends(table):
    rows = observe(table(LOG), every="10d", horizon="20d", frozen_at="2024-12-01")
    with pytest.raises(ImmatureLabelError, match="training ends 2023-06-15"):
        rows.split("2024-04-10", "2024-04-10", embargo="300d")


def test_training_may_keep_windows_that_were_open_then(table):
    rows = observe(table(LOG), every="10d", horizon="20d", frozen_at="2024-12-01", censored=True)
    train, _ = rows.split("2024-04-10", "2024-04-20", censored=True)
    assert train.frame["cutoff"].max() == pd.Timestamp("2024-04-01", tz="UTC")
    assert train.frame["observed_until"].max() == pd.Timestamp("2024-04-10", tz="UTC")
    assert train.label.isna().sum() == 4


def test_a_bound_beyond_the_freeze_teaches_nothing_from_after_it(table):
    deals = [
        {
            "member_id": "ann",
            "outcome": "won",
            "closed_at": "2024-03-05T00:00:00",
            "known_at": "2024-06-15T00:00:00",
        }
    ]
    rows = observe(table(LOG, deals=deals), every="10d", horizon="20d", frozen_at="2024-06-01", censored=True)
    later = rows._known_by(1_719_792_000_000_000)  # 2024-07-01
    assert later.frame.equals(rows.frame)
    assert later.windows == rows.windows


def test_own_rows_that_were_open_then_lose_their_label():
    train, _ = Observations.from_frame(ROWS).split("2024-02-01", "2024-03-01", censored=True)
    assert train.label.isna().all()


def test_what_was_lost_later_is_open_in_training(table):
    lost = {
        "member_id": "ann",
        "outcome": "lost",
        "opened_at": "2024-02-01",
        "closed_at": "2024-03-05",
        "known_at": "2024-05-01",
    }
    train, _ = observe(table(LOG, deals=[lost]), every="10d", horizon="20d", frozen_at="2024-12-01").split(
        "2024-04-01", "2024-04-01"
    )
    assert "lost" not in set(train.frame["outcome"])


def test_windows_that_would_meet_are_refused():
    with pytest.raises(LeakageError, match="label windows would meet"):
        Observations.from_frame(ROWS).split("2024-05-01", "2024-04-30")


@pytest.mark.parametrize(
    ("bounds", "part"), [(("2023-01-01", "2024-01-01"), "training"), (("2024-06-01", "2025-01-01"), "test")]
)
def test_a_part_without_rows_is_an_error_that_says_which(bounds, part):
    with pytest.raises(
        ImmatureLabelError, match=f"no {part} rows: cutoffs run from 2024-01-01 to 2024-07-01"
    ):
        Observations.from_frame(ROWS).split(*bounds)


def test_no_rows_describe_themselves():
    assert repr(Observations.from_frame(ROWS).take(np.array([], int))) == "Observations(no rows)"
    assert "2 positive" not in repr(Observations.from_frame(ROWS))
