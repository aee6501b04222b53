"""What became of the population at each cutoff, as a table and as text."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from leadlight.observations import Observations, observe

LOG = "ann view 2024-02-20; bob view 2024-02-21; cid view 2024-02-22; dee view 2023-06-01"
ONE = {
    "every": "30d",
    "horizon": "10d",
    "start": "2024-03-01",
    "end": "2024-03-02",
    "frozen_at": "2024-06-01",
}


def deal(member="ann", outcome="won", closed="2024-03-05T00:00:00", **more):
    return {"member_id": member, "outcome": outcome, "closed_at": closed, **more}


def line(rows):
    return rows.counts.iloc[0]


def test_every_row_is_won_lost_open_or_none(table):
    rows = observe(
        table(
            LOG, deals=[deal(), deal("bob", "lost"), deal("cid", None, None, opened_at="2024-03-02T00:00:00")]
        ),
        **ONE,
    )
    assert line(rows)[["won", "lost", "open", "none", "population"]].tolist() == [1, 1, 1, 0, 3]


def test_who_did_nothing_lately_is_inactive(table):
    assert line(observe(table(LOG), **ONE))["inactive"] == 1


def test_who_bought_before_is_counted_after_won(table):
    rows = observe(table(LOG, deals=[deal(closed="2024-02-25T00:00:00")]), **ONE)
    assert line(rows)[["population", "after_won"]].tolist() == [2, 1]


def test_who_has_not_entered_is_counted(table):
    rows = observe(
        table(LOG + "; bob question 2024-02-23; ann question 2024-03-01"), enters_on="question", **ONE
    )
    assert line(rows)[["population", "not_entered"]].tolist() == [1, 2]


def test_open_windows_are_counted_whether_their_rows_are_given_or_not(table):
    several = {**ONE, "every": "1d", "end": "2024-03-05", "frozen_at": "2024-03-11T23:59:59"}
    given = observe(table(LOG), **several, censored=True)
    assert given.counts.equals(observe(table(LOG), **several).counts)
    assert given.counts["window_open"].tolist() == [0, 3, 3, 3]
    assert given.labelled().counts["none"].tolist() == [3]


def test_rows_that_are_not_taken_are_left_out(table):
    rows = observe(table(LOG), **ONE)
    part = rows.take(np.array([0, 2])).take(np.array([True, False]))
    assert line(part)[["population", "none", "left_out"]].tolist() == [3, 1, 2]


def test_a_row_taken_twice_counts_twice(table):
    assert line(observe(table(LOG), **ONE).take(np.array([0, 0, 1])))[
        ["none", "left_out", "population"]
    ].tolist() == [3, 1, 4]


def test_parts_of_a_split_count_their_own_cutoffs(table):
    rows = observe(table(LOG), **{**ONE, "every": "10d", "end": "2024-04-30"})
    train, test = rows.split("2024-03-21", "2024-03-21")
    assert train.counts.index.tolist() == [
        pd.Timestamp("2024-03-01", tz="UTC"),
        pd.Timestamp("2024-03-11", tz="UTC"),
    ]
    assert test.counts["population"].tolist() == [3] * 4


def test_a_part_that_keeps_open_windows_counts_them_as_open(table):
    rows = observe(table(LOG), **{**ONE, "every": "10d", "end": "2024-04-30"})
    train, _ = rows.split("2024-03-21", "2024-04-01", censored=True)
    assert train.counts["window_open"].tolist() == [0, 0]
    assert rows.split("2024-03-20", "2024-04-01", censored=True)[0].counts["window_open"].tolist() == [0, 3]


def test_own_rows_are_counted_by_their_labels():
    own = Observations.from_frame(
        [
            {"member_id": m, "cutoff": "2024-01-01", "label": y}
            for m, y in zip("abc", (1, 0, None), strict=True)
        ]
    )
    assert line(own)[["population", "won", "none", "window_open"]].tolist() == [3, 1, 1, 1]


def test_a_summary_has_totals_and_says_what_a_label_is(table):
    rows = observe(table(LOG, deals=[deal()]), **{**ONE, "end": "2024-04-10"})
    assert rows.summary().splitlines() == [
        "                                               after",
        "cutoff      population  won  lost  open  none    won  inactive",
        "2024-03-01           3    1     0     0     2      0         1",
        "2024-03-31           2    0     0     0     2      1         1",
        "--------------------------------------------------------------",
        "total                5    1     0     0     4      1         2",
        "",
        "5 rows of 3 members; 1 positive, of 1 members, 1 accounts or members without one.",
        "A label is a deal won in the 10 days from the cutoff on.",
    ]  # fmt: skip


def busy(table, **options):
    members = [
        {"member_id": m, "role": r, "consent": c}
        for m, r, c in (("eve", "employee", True), ("fay", None, False))
    ]
    members += [{"member_id": m, "consent": True} for m in ("ann", "bob", "cid", "dee")]
    community = table(
        LOG + "; eve view 2024-02-20; fay view 2024-02-20; bob question 2024-02-23; ann question 2024-02-24; dee question 2023-06-02",
        members=members, deals=[deal(), deal("bob", closed="2024-03-31T00:00:00")], contacts=[{"member_id": "bob", "contacted_at": "2024-03-02"}],
    )  # fmt: skip
    return observe(community, **{**ONE, "gap": "2d", "end": "2024-06-30", "enters_on": "question", **options})


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_summary_is_no_wider_than_asked(table, width):
    text = busy(table).summary(width)
    assert max(map(len, text.splitlines()[:-2])) <= width
    for word in ("inactive", "employees", "refused", "contacted", "entered"):
        assert word in text


def test_many_cutoffs_are_shown_as_months_and_years(table):
    days = busy(table, every="1d", horizon="1d")
    assert "2024-04 " in days.summary()
    years = busy(
        table, every="1d", end="2029-01-01", active_within=timedelta(days=2000), frozen_at="2029-02-01"
    )
    assert "\n2027 " in years.summary()
    assert len(years.summary().splitlines()) < 25


def test_cutoffs_on_actions_are_shown_by_minute(table):
    rows = observe(
        table("ann question 2024-02-01T10:20:30"), on="question", horizon="1d", frozen_at="2024-06-01"
    )
    assert "2024-02-01 10:20" in rows.summary()


def test_a_notebook_shows_the_table(table):
    html = busy(table)._repr_html_()
    assert ">won in gap</th>" in html
    assert "total" in html


def test_no_rows_have_a_summary_too(table):
    nothing = Observations.from_frame([{"member_id": 1, "cutoff": "2024-01-01"}]).take(np.array([], int))
    assert nothing.summary() == "Observations(no rows)"
    assert nothing._repr_html_() == "<p>Observations(no rows)</p>"
