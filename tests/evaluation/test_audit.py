"""The leakage audit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from leadlight import Behaviour, Catalogue, Community, Count, Peers
from leadlight.errors import InputError, LeakageError, SchemaError
from leadlight.evaluation import audit_leakage
from leadlight.evaluation.audit_community import audit_community

LEADS = Path(__file__).parents[2] / ".." / "shared" / "data" / "leads"


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


CUTOFF = pd.Timestamp("2024-06-01")


def days(rng, n, low, high):
    return CUTOFF + pd.to_timedelta(rng.integers(low, high, n), "D")


PLANTED = {
    "a perfect copy": lambda y, rng: y,
    "a noisy copy": lambda y, rng: y + rng.normal(size=len(y)) * 0.35,
    "a copy with 2 % of errors": lambda y, rng: np.where(rng.random(len(y)) < 0.02, 1 - y, y),
    "filled in for the won": lambda y, rng: np.where(y & (rng.random(len(y)) < 0.7), 1.0, np.nan),
    "filled in for a few of the won": lambda y, rng: np.where(y & (rng.random(len(y)) < 0.25), 1.0, np.nan),
    "a placeholder unless won": lambda y, rng: np.where(y & (rng.random(len(y)) < 0.5), "call", " Select"),
    "one category": lambda y, rng: np.where(
        y & (rng.random(len(y)) < 0.4), "closed by us", rng.choice(["busy", "rings", "later"], len(y))
    ),
    "one category of the lost": lambda y, rng: np.where(
        (y == 0) & (rng.random(len(y)) < 0.3), "wrong number", rng.choice(["busy", "rings"], len(y))
    ),
    "a rare perfect category": lambda y, rng: np.where(
        np.cumsum(y) * y > y.sum() - 110, "gold", rng.choice(["silver", "tin"], len(y))
    ),
    "a date after the cutoff": lambda y, rng: days(rng, len(y), -300, 2),
    "a date at the cutoff": lambda y, rng: [
        CUTOFF if k == 7 else CUTOFF - pd.Timedelta("9D") for k in range(len(y))
    ],
    "a late date as text": lambda y, rng: days(rng, len(y), -300, 2).strftime("%Y-%m-%d"),
    "reputation__snapshot": lambda y, rng: rng.normal(size=len(y)),
    "Score Snapshot": lambda y, rng: rng.normal(size=len(y)),
    "a count that includes the deal": lambda y, rng: rng.poisson(0.5, len(y)) + y,
    "an amount of won deals": lambda y, rng: np.where(
        y & (rng.random(len(y)) < 0.4), rng.gamma(2, 900, len(y)), 0
    ),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_leak_is_found_and_nothing_else(name, seed):
    frame, y = clean(3000, seed)
    leak = PLANTED[name](y, np.random.default_rng(seed + 100))
    audit = audit_leakage(frame.assign(**{name: leak}).drop(columns="joined"), y, cutoffs=CUTOFF)
    assert list(audit.columns_flagged) == [name]


@pytest.mark.parametrize("seed", range(4))
def test_a_value_of_thirty_rows_that_is_always_won_where_one_in_a_hundred_is_fails(seed):
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(60), np.zeros(5940)].astype(int)
    tag = np.where(np.arange(6000) < 30, "gold", rng.choice(["silver", "tin"], 6000))
    assert list(audit_leakage(pd.DataFrame({"tag": tag}), y).columns_flagged) == ["tag"]


def test_a_value_of_twenty_rows_that_is_always_won_is_a_suspect():
    frame, y = clean(3000)
    gold = np.cumsum(y) * y > y.sum() - 22
    audit = audit_leakage(frame.assign(tag=np.where(gold, "gold", "tin")), y)
    assert audit.clean
    assert "22 of 22" in audit.suspects["tag"]


def honest(kind, seed):
    """Tables that tell something, or nothing, and know nothing of the future."""
    rng = np.random.default_rng(seed)
    n, base = 2500, {"seldom": 0.01, "even": 0.5}.get(kind, 0.2)
    y = (rng.random(n) < base).astype(int)
    tables = {
        "numbers": {f"x{j}": rng.normal(size=n) + 0.9 * y for j in range(30)},
        "strong": {f"x{j}": rng.normal(size=n) + 1.3 * y for j in range(5)},
        "seldom": {f"x{j}": rng.poisson(0.3 + 1.5 * y) for j in range(30)}
        | {"c": rng.choice(list("abcd"), n)},
        "even": {"x": rng.normal(size=n) + y, "c": np.where(rng.random(n) < 0.3 + 0.4 * y, "a", "b")},
        "many levels": {f"c{k}": rng.integers(0, k, n).astype(str) for k in (2, 10, 50, 300, 1500)},
        "ids": {"uuid": rng.permutation(n).astype(str), "number": np.arange(n), "twice": np.arange(n) // 2},
        "counts": {"c": rng.poisson(1 + y), "never": np.where(rng.random(n) < 0.1 + 0.3 * y, 3.0, np.nan)},
        "flags": {"one": True, "rare": rng.random(n) < 0.01, "told": rng.random(n) < 0.1 + 0.4 * y},
        "gaps": {f"g{k}": np.where(rng.random(n) < 0.5 - 0.3 * y, np.nan, 1.0) for k in range(5)},
        "forms": {"word": rng.choice(["Select", "", "unknown", "yes", "no"], n), "empty": np.nan},
        "dates": {
            "joined": days(rng, n, -400, 0),
            "text": days(rng, n, -9, 0).strftime("%Y-%m-%dT10:00:00Z"),
        },
    }
    return pd.DataFrame(tables[kind], index=range(n)), y


KINDS = [
    "numbers",
    "strong",
    "seldom",
    "even",
    "many levels",
    "ids",
    "counts",
    "flags",
    "gaps",
    "forms",
    "dates",
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_clean_tables_of_many_kinds_raise_no_alarm(kind, seed):
    frame, y = honest(kind, seed)
    assert audit_leakage(frame, y, cutoffs=CUTOFF).columns_flagged == {}


@pytest.mark.parametrize("positives", [5, 8, 40])
def test_three_hundred_columns_of_noise_raise_no_alarm(positives):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.r_[np.ones(positives), np.zeros(300 - positives)])
        frame = pd.DataFrame(rng.normal(size=(300, 150))).join(
            pd.DataFrame(rng.integers(0, 4, (300, 150)).astype(str)).add_prefix("c")
        )
        audit = audit_leakage(frame, y)
        assert (audit.columns_flagged, audit.suspects) == ({}, {})


def test_accounts_count_once():
    groups = np.repeat(np.arange(60), 50)
    y = (groups < 20).astype(int)
    source = np.where(groups < 4, "fair", "web")
    rows = audit_leakage(pd.DataFrame({"source": source}), y)
    accounts = audit_leakage(pd.DataFrame({"source": source}), y, groups=groups)
    assert list(rows.columns_flagged) == ["source"]
    assert (accounts.columns_flagged, accounts.suspects) == ({}, {})


def test_groups_and_cutoffs_are_read_from_the_index():
    index = pd.MultiIndex.from_product([range(80), pd.to_datetime(["2024-01-01", "2024-06-01"])])
    index.names = ["member_id", "cutoff"]
    y = np.repeat(np.random.default_rng(0).random(80) < 0.3, 2).astype(int)
    frame = pd.DataFrame({"seen": pd.Timestamp("2024-03-01"), "member": np.repeat(np.arange(80), 2)}, index)
    audit = audit_leakage(frame.astype({"member": str}), y)
    assert list(audit.columns_flagged) == ["seen"]
    assert "80 of 160 rows" in audit.columns_flagged["seen"]


def test_a_number_that_never_changes_within_a_member_is_a_suspect():
    index = pd.MultiIndex.from_product([range(80), pd.to_datetime(["2024-01-01", "2024-06-01"])])
    index.names = ["member_id", "cutoff"]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"today": np.repeat(rng.normal(size=80), 2), "then": rng.normal(size=160)}, index)
    audit = audit_leakage(frame, rng.random(160) < 0.3)
    assert list(audit.suspects) == ["today"]


def test_one_date_for_all_rows_is_a_suspect():
    frame, y = clean()
    audit = audit_leakage(frame.assign(exported="2024-12-01"), y)
    assert audit.clean
    assert "2024-12-01" in audit.suspects["exported"]


def test_cutoffs_in_another_zone_are_compared_in_utc():
    frame = pd.DataFrame({"seen": ["2024-06-01T01:00:00+03:00"] * 40})
    y = np.arange(40) % 2
    assert audit_leakage(frame, y, cutoffs="2024-06-01").clean
    assert not audit_leakage(frame, y, cutoffs="2024-05-31T22:00:00Z").clean
    microseconds = pd.Timestamp("2024-05-31T22:00:00").value // 1000
    assert not audit_leakage(frame, y, cutoffs=microseconds).clean
    assert audit_leakage(frame, y, cutoffs=[microseconds + 1] * 40).clean


@pytest.mark.parametrize("cutoffs", [["2024-01-01"], "soon", [None] * 800])
def test_cutoffs_that_cannot_be_used_are_an_error(cutoffs):
    frame, y = clean()
    with pytest.raises(InputError, match="cutoffs"):
        audit_leakage(frame, y, cutoffs=cutoffs)


def test_a_flagged_column_fails_the_run_unless_it_is_excused():
    frame, y = clean()
    with pytest.raises(LeakageError, match="excuse"):
        audit_leakage(frame.assign(won=y), y).require_clean()
    excused = audit_leakage(frame.assign(won=y), y, excuse=("won",))
    excused.require_clean()
    assert [f.rule for f in excused.findings["won"]] == ["auc", "value"]


def test_suspects_are_judged_together():
    frame, y = clean(2000)
    rng = np.random.default_rng(5)
    stages = {f"stage {k}": np.where(rng.random(2000) < 0.15 + 0.7 * y, "hot", "cold") for k in range(5)}
    audit = audit_leakage(frame.assign(**stages), y)
    assert audit.clean
    assert audit.together > 0.95
    assert "The suspects together reach" in str(audit)


BY_ROLE = Catalogue(
    [
        Behaviour("connects", (Count("connect", window="90d", by="role"),), reason="connected"),
        Behaviour("colleagues", (Peers(Count("connect", window="90d")),), reason="colleagues connected"),
    ]
)


def connections(role_then, *, history):
    """Forty members connect with ten who become customers through a deal won in May."""
    log = [
        {"member_id": f"m{k}", "occurred_at": f"2024-0{month}-03", "action": "connect",
         "other_member_id": f"c{k % 10}", "other_role": role_then if month < 5 else "customer"}
        for k in range(40) for month in (2, 3, 6)
    ]  # fmt: skip
    ids = [f"m{k}" for k in range(40)] + [f"c{k}" for k in range(10)]
    members = [{"member_id": i, "role": "prospect", "account_id": i} for i in ids]
    later = [{"member_id": f"c{k}", "role": "customer", "account_id": f"c{k}"} for k in range(10)]
    if history:
        members = [row | {"valid_from": "2023-01-01"} for row in members]
        members += [row | {"valid_from": "2024-05-02"} for row in later]
    else:
        members = members[:40] + later
    deals = [{"member_id": f"c{k}", "outcome": "won", "closed_at": "2024-05-02"} for k in range(10)]
    community = Community(pd.DataFrame(log), pd.DataFrame(members), pd.DataFrame(deals))
    return community, BY_ROLE.compile(community)


def test_a_role_that_came_with_the_deal_and_stands_before_it_fails():
    community, plan = connections("customer", history=False)
    audit = audit_community(community, plan)
    assert any("customer" in column for column in audit.columns_flagged)
    assert "10 of 10 won counterparts" in next(iter(audit.columns_flagged.values()))


def test_a_role_ahead_of_the_dated_history_fails():
    community, plan = connections("customer", history=True)
    found = next(iter(audit_community(community, plan).columns_flagged.values()))
    assert "80 of 120 rows state a role that members dates later" in found


def test_roles_of_their_time_are_clean():
    community, plan = connections("prospect", history=True)
    audit = audit_community(community, plan)
    assert (audit.columns_flagged, audit.suspects) == ({}, {})
    assert audit.checked == len(plan.columns)


def test_colleagues_of_today_are_suspects_unless_static_excuses_them():
    community, plan = connections("prospect", history=False)
    audit = audit_community(community, plan)
    assert audit.clean
    assert audit.suspects
    assert all("account" in why for why in audit.suspects.values())
    excused = audit_community(community, plan, static=("account",))
    assert excused.suspects == {}
    assert set(excused.excused) == set(audit.suspects)
    with pytest.raises(InputError, match="static"):
        audit_community(community, plan, static=("accounts",))


def test_both_audits_join():
    community, plan = connections("customer", history=False)
    y = np.arange(200) % 2
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(200, len(plan.columns))), columns=plan.column_names
    )
    undated = audit_community(community, plan)
    joined = audit_leakage(frame, y).with_findings_of(undated)
    assert joined.columns_flagged == undated.columns_flagged
    assert joined.checked == len(plan.columns)


def test_the_simulated_community_is_clean(community, split, qualifier):
    X, y, _, groups = qualifier.training_
    audit = audit_leakage(X, y, groups=groups).with_findings_of(audit_community(community, qualifier.plan_))
    assert (audit.columns_flagged, audit.suspects) == ({}, {})


@pytest.mark.skipif(not LEADS.exists(), reason="the lead tables may not be redistributed")
class TestPublicTables:
    def test_x_education_columns_filled_in_after_the_contact_are_found(self):
        frame = pd.read_csv(LEADS / "x_education_leads" / "Leads.csv")
        audit = audit_leakage(frame.drop(columns="Converted"), frame["Converted"])
        assert set(audit.columns_flagged) == {"Tags", "Lead Quality"}
        after = {"Last Activity", "Last Notable Activity", "Lead Profile", "Asymmetrique Activity Score"}
        assert set(audit.suspects) == after | {"Lead Source"}

    def test_the_bank_table_has_one_suspect(self):
        frame = pd.read_csv(LEADS / "bank_marketing" / "bank-additional-full.csv", sep=";")
        audit = audit_leakage(frame.drop(columns="y"), frame["y"])
        assert audit.clean
        assert set(audit.suspects) == {"duration"}

    def test_every_column_of_olists_closed_deals_fails_and_none_of_the_leads(self):
        leads = pd.read_csv(LEADS / "olist_funnel" / "olist_marketing_qualified_leads_dataset.csv")
        deals = pd.read_csv(LEADS / "olist_funnel" / "olist_closed_deals_dataset.csv")
        frame = leads.merge(deals, on="mql_id", how="left")
        audit = audit_leakage(frame, frame["seller_id"].notna())
        assert set(audit.columns_flagged) == set(deals.columns) - {"mql_id"}
