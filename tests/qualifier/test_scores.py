"""The call list and its CSV file."""

from __future__ import annotations

import csv
import os
import stat

import numpy as np
import pandas as pd
import pytest

from leadlight import Capacity, Community
from leadlight.errors import InputError, LeadlightWarning
from leadlight.qualifier import Scores
from leadlight.runtime import Reason

REASON = Reason("asks", 0.5, "asked 3 questions")


def frame(count=6, **columns):
    plain = {
        "member_id": [f"m{i}" for i in range(count)],
        "account_id": [None] * count,
        "at": pd.Timestamp("2024-03-01", tz="UTC"),
        "probability": np.linspace(0.6, 0.1, count),
        "low": 0.05,
        "high": 0.7,
        "percentile": 50.0,
        "grade": "B",
        "qualified": np.arange(count) < 3,
        "cold_start": False,
        "reasons": [(REASON,)] * count,
        "model_version": "0123456789ab",
        "customer": False,
        "open_deal": False,
        "recently_contacted": False,
    }
    return pd.DataFrame({**plain, **columns})


def listed(scores):
    return scores.frame["member_id"].tolist()


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_list_holds_the_best_first():
    shuffled = frame().sample(frac=1, random_state=3)
    assert listed(Scores(shuffled, Capacity()).top(4)) == ["m0", "m1", "m2", "m3"]


def test_without_a_number_it_holds_the_qualified():
    assert listed(Scores(frame(), Capacity()).top()) == ["m0", "m1", "m2"]


def test_ties_go_by_member():
    tied = frame(probability=0.5).iloc[::-1]
    assert listed(Scores(tied, Capacity()).top(3)) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("flag", ["customer", "open_deal", "recently_contacted"])
def test_who_is_taken_care_of_is_left_out(flag):
    taken = np.array([True, False, True, False, False, False])
    assert listed(Scores(frame(**{flag: taken}), Capacity()).top(2)) == ["m1", "m3"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("customers", ["m0", "m2"]),
        (("open_deals",), ["m1", "m2"]),
        (("customers", "open_deals"), ["m0", "m1", "m2"]),
    ],
)
def test_customers_and_open_deals_are_listed_when_asked_for(include, expected):
    table = frame(
        4, customer=np.arange(4) == 0, open_deal=np.arange(4) == 1, recently_contacted=np.arange(4) == 3
    )
    assert listed(Scores(table, Capacity()).top(9)) == ["m2"]
    assert listed(Scores(table, Capacity()).top(9, include=include)) == expected


def test_nobody_else_can_be_included():
    with pytest.raises(InputError, match=r"'employees'.*customers"):
        Scores(frame(), Capacity()).top(3, include=("employees",))


@pytest.mark.parametrize(
    ("buyers", "said"),
    [
        (None, None),
        (
            10,
            "Learned from 10 accounts that won, so the first may be anything from 5.0% to 70.0% where it says 60.0%.",
        ),
        (1, "Learned from 1 account that won, so"),
        (120, "Learned from 120 accounts that won."),
    ],
)
def test_a_list_says_from_how_many_deals_it_comes_and_how_sure_it_is(buyers, said):
    scores = Scores(frame(), Capacity(), buyers=buyers)
    assert (said or "m5  10.0%  B  asked 3 questions") in str(scores)
    assert ("Learned" in str(scores.top(2))) == (said is not None)


def test_an_interval_that_nobody_knows_is_said_to_be_unknown():
    assert "too few to say how sure" in str(Scores(frame(low=np.nan, high=np.nan), Capacity(), buyers=1))


def test_an_account_is_called_so_often_and_people_without_one_always():
    table = frame(account_id=["a", "a", "a", None, None, "b"])
    assert listed(Scores(table, Capacity(per_account=1)).top(9)) == ["m0", "m3", "m4", "m5"]
    assert listed(Scores(table, Capacity(per_account=2)).top(9)) == ["m0", "m1", "m3", "m4", "m5"]
    assert len(Scores(table, Capacity()).top(9)) == 6


def test_a_list_of_none_is_an_error():
    with pytest.raises(InputError, match="n is 0"):
        Scores(frame(), Capacity()).top(0)


def test_no_customer_and_no_open_deal_on_a_real_list(scores):
    called = scores.top(200).frame
    assert (scores.frame["customer"] | scores.frame["open_deal"]).any()
    assert not (called["customer"] | called["open_deal"]).any()
    assert called["account_id"].dropna().is_unique
    assert called["probability"].is_monotonic_decreasing


def test_who_was_contacted_lately_stays_off_the_list(qualifier, community, at):
    quiet = Scores.of(
        qualifier.scorer_,
        community,
        *_rows(qualifier, community, at),
        Capacity(not_contacted_within="30d"),
        0,
    )
    contacts = community.contacts
    recent = contacts[contacts["contacted_us"] >= at - 30 * 86_400_000_000]
    ids = set(community.members.ids.to_numpy()[recent["member"]])
    assert set(quiet.frame.loc[quiet.frame["recently_contacted"], "member_id"]) == ids & set(
        quiet.frame["member_id"]
    )
    assert not ids & set(quiet.top(500).frame["member_id"])


def _rows(qualifier, community, at):
    from leadlight import build_features
    from leadlight.observations import population_at

    rows = population_at(community, at, qualifier.windows_)
    return rows, build_features(community, rows, qualifier.plan_)


def test_a_quiet_time_without_contacts_says_that_it_does_nothing(qualifier):
    community = Community([{"member_id": "ann", "occurred_at": "2024-03-01", "action": "view"}])
    rows, X = _rows(qualifier, community, "2024-03-05")
    with pytest.warns(LeadlightWarning, match="no contacts table"):
        Scores.of(qualifier.scorer_, community, rows, X, Capacity(not_contacted_within="30d"), 1)


def test_the_file_has_a_row_for_each_member_and_three_reasons(scores, tmp_path):
    scores.to_csv(tmp_path / "scores.csv")
    rows = read(tmp_path / "scores.csv")
    assert len(rows) == len(scores)
    assert list(rows[0]) == [
        "member_id", "account_id", "at", "probability", "low", "high", "percentile", "grade", "qualified",
        "reason_1", "reason_2", "reason_3", "customer", "open_deal", "cold_start", "model_version",
    ]  # fmt: skip
    assert [float(r["probability"]) for r in rows] == scores.frame["probability"].tolist()
    assert {r["qualified"] for r in rows} == {"true", "false"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_run_is_quoted(tmp_path, start):
    evil = f'{start}HYPERLINK("http://x")'
    table = frame(1, member_id=[evil], account_id=[evil], reasons=[(Reason("r", 1.0, evil),)])
    Scores(table, Capacity()).to_csv(tmp_path / "s.csv")
    row = read(tmp_path / "s.csv")[0]
    assert {row["member_id"], row["account_id"], row["reason_1"]} == {"'" + evil}


def test_numbers_below_zero_stay_numbers(tmp_path):
    Scores(frame(1, member_id=[-7]), Capacity()).to_csv(tmp_path / "s.csv")
    assert read(tmp_path / "s.csv")[0]["member_id"] == "-7"


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_what_is_missing_is_empty(tmp_path, nothing):
    table = frame(1, account_id=pd.Series([nothing], dtype=object), low=np.nan)
    Scores(table, Capacity()).to_csv(tmp_path / "s.csv")
    row = read(tmp_path / "s.csv")[0]
    assert (row["account_id"], row["low"], row["reason_2"]) == ("", "", "")


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_file_may_be_read_by_whom_the_umask_says(tmp_path, umask):
    before = os.umask(umask)
    try:
        Scores(frame(), Capacity()).to_csv(tmp_path / "s.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s.csv").stat().st_mode) == 0o666 & ~umask


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("old")
    broken = frame(reasons=[(REASON,)] * 5 + [None])
    with pytest.raises(TypeError):
        Scores(broken, Capacity()).to_csv(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_table_handed_out_is_a_copy(scores):
    mine = scores.to_pandas()
    mine["probability"] = 0.0
    assert scores.frame["probability"].gt(0).all()


def test_the_page_is_escaped():
    table = frame(1, member_id=["<script>"], reasons=[(Reason("r", 1.0, "<b>"),)])
    assert "<script>" not in Scores(table, Capacity())._repr_html_()
    assert "<b>" not in Scores(table, Capacity())._repr_html_()


def test_simulated_members_are_called_so(scores):
    assert str(scores).startswith("Simulated community.")
    assert str(scores.top(3)).startswith("Simulated community.")
