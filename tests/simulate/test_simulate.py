"""The simulated community: canonical tables, plausible sales, a truth that is consistent and kept apart."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.simulate import SimulationParameters, Truth, simulate_tables
from leadlight.simulate.parameters import ACTIONS, STAGES
from leadlight.simulate.stages import stage_law

Simulated = tuple[dict[str, pa.Table], Truth]
STAMP = pa.timestamp("us", tz="UTC")


@pytest.fixture(scope="module")
def town() -> Simulated:
    return simulate_tables(members=6_000, weeks=130, seed=1)


@pytest.fixture(scope="module")
def hamlet() -> Simulated:
    return simulate_tables(members=200, weeks=20, seed=3)


def frame(simulated: Simulated, name: str) -> pd.DataFrame:
    return simulated[0][name].to_pandas()


def account_rows(simulated: Simulated, cutoff: object, horizon: str = "90d") -> pd.DataFrame:
    truth = simulated[1]
    return truth.at(cutoff, horizon).merge(truth.members(), on="member_id").drop_duplicates("account")


def normalise(email: pd.Series) -> pd.Series:
    return email.str.strip().str.lower().str.replace(r"\+[^@]*@", "@", regex=True)


def test_the_same_seed_gives_the_same_tables_and_truth(hamlet: Simulated):
    tables, truth = simulate_tables(members=200, weeks=20, seed=3)
    assert all(tables[name].equals(hamlet[0][name]) for name in tables)
    pd.testing.assert_frame_equal(truth.at("2024-03-01"), hamlet[1].at("2024-03-01"))


def test_another_seed_gives_another_log(hamlet: Simulated):
    tables, _ = simulate_tables(members=200, weeks=20, seed=4)
    assert not tables["activity"].equals(hamlet[0]["activity"])


def test_the_tables_have_canonical_columns_and_types(hamlet: Simulated):
    activity, members = hamlet[0]["activity"].schema, hamlet[0]["members"].schema
    deals, contacts = hamlet[0]["deals"].schema, hamlet[0]["contacts"].schema
    assert activity.field("occurred_at").type == activity.field("known_at").type == STAMP
    assert activity.field("member_id").type == activity.field("other_member_id").type == pa.int64()
    assert activity.field("tags").type == pa.list_(pa.string())
    assert activity.field("duration_s").type == pa.float64()
    assert members.field("member_id").type == pa.int64()
    assert members.names == [
        "member_id", "joined_at", "valid_from", "account_id", "email", "email_domain", "role", "job_function",
        "consent",
    ]  # fmt: skip
    assert deals.names == [
        "deal_id", "email", "domain", "outcome", "opened_at", "closed_at", "amount", "known_at",
    ]  # fmt: skip
    assert activity.field("content_id").type == pa.int64()
    assert contacts.names == ["member_id", "contacted_at", "chosen_by", "propensity"]
    people = hamlet[0]["deal_contacts"].schema
    assert (people.field("deal_id").type, people.field("member_id").type) == (pa.string(), pa.int64())


@pytest.mark.parametrize(("members", "weeks"), [(10, 4), (50, 12)])
def test_a_small_community_has_valid_tables(members: int, weeks: int):
    tables, truth = simulate_tables(members=members, weeks=weeks, seed=0)
    assert tables["activity"].num_rows > 0
    assert tables["members"]["member_id"].to_pandas().nunique() <= members
    assert set(truth.at(truth.end).columns) == {"member_id", "stage", "probability", "would_buy"}
    assert truth.purchases()["won"].to_numpy().dtype == np.bool_


def test_every_action_occurs_and_none_is_unknown(town: Simulated):
    assert set(frame(town, "activity")["action"].unique()) == set(ACTIONS)


def test_every_row_of_the_log_is_stamped_as_simulated(town: Simulated):
    assert frame(town, "activity")["source"].unique().tolist() == ["simulated"]


def test_times_of_the_log_are_ordered_and_inside_it(town: Simulated):
    activity, truth = frame(town, "activity"), town[1]
    assert activity["occurred_at"].is_monotonic_increasing
    assert activity["occurred_at"].between(truth.start, truth.end, inclusive="left").all()
    late = activity.dropna(subset="known_at")
    assert len(late) > 0
    assert (late["known_at"] >= late["occurred_at"]).all()
    assert (late["known_at"] < truth.end).all()


def test_nobody_acts_before_joining(town: Simulated):
    joined = frame(town, "members").groupby("member_id")["joined_at"].first()
    activity = frame(town, "activity")
    assert (activity["occurred_at"] >= activity["member_id"].map(joined)).all()


def test_nobody_meets_someone_who_has_not_joined(town: Simulated):
    joined = frame(town, "members").groupby("member_id")["joined_at"].first()
    met = frame(town, "activity").dropna(subset="other_member_id")
    assert (met["other_member_id"].astype("int64").map(joined) < met["occurred_at"]).all()
    assert (met["other_member_id"] != met["member_id"]).all()


def test_other_role_is_the_role_as_of_the_time(town: Simulated):
    members = frame(town, "members")[["member_id", "valid_from", "role"]].sort_values("valid_from")
    met = frame(town, "activity").dropna(subset="other_member_id")[
        ["other_member_id", "occurred_at", "other_role"]
    ]
    met["other_member_id"] = met["other_member_id"].astype("int64")
    found = pd.merge_asof(
        met,
        members,
        left_on="occurred_at",
        right_on="valid_from",
        left_by="other_member_id",
        right_by="member_id",
    )
    assert (found["role"] == found["other_role"]).all()
    assert (members.groupby("member_id")["role"].nunique() > 1).any()


def test_deal_times_are_ordered_and_inside_the_log(town: Simulated):
    deals, truth = frame(town, "deals"), town[1]
    closed = deals.dropna(subset="outcome")
    assert deals["opened_at"].between(truth.start, truth.end, inclusive="left").all()
    assert (closed["closed_at"] > closed["opened_at"]).all()
    assert (closed["closed_at"] < truth.end).all()
    assert (closed["known_at"].dropna() >= closed.loc[closed["known_at"].notna(), "closed_at"]).all()
    assert deals.loc[deals["outcome"].isna(), ["closed_at", "known_at", "amount"]].isna().all(axis=None)


def test_deals_are_won_lost_and_open(town: Simulated):
    outcomes = frame(town, "deals")["outcome"].value_counts(dropna=False)
    assert outcomes["won"] >= 35
    assert outcomes["lost"] > outcomes["won"]
    assert outcomes[outcomes.index.isna()].sum() > 0


def test_no_deal_opens_before_the_first_member_of_the_account_joined(town: Simulated):
    truth = town[1]
    first = np.full(len(truth.world.size), np.inf)
    np.minimum.at(first, truth.world.account, truth.world.joined)
    assert all(deal.opened > first[deal.account] for deal in truth.sales.deals)


def test_every_deal_follows_an_approach_of_its_account(town: Simulated):
    truth = town[1]
    moments = [(int(truth.world.account[c.member]), c.moment) for c in truth.sales.contacts]
    approached = pd.DataFrame(moments, columns=["account", "moment"]).groupby("account")["moment"].min()
    assert all(approached[deal.account] <= deal.opened for deal in truth.sales.deals)


def test_a_won_deal_is_a_purchase_by_the_account_at_that_moment(town: Simulated):
    deals, purchases = frame(town, "deals"), town[1].purchases()
    won = deals.loc[deals["outcome"] == "won", "closed_at"]
    bought = purchases.loc[purchases["won"], "purchased_at"]
    assert len(won) > 0
    gap = won.map(lambda at: (bought - at).abs().min())
    assert (gap <= pd.Timedelta("1us")).all()


def test_some_buyers_were_never_approached_and_left_no_deal(town: Simulated):
    purchases = town[1].purchases()
    assert 0 < purchases["approached"].sum() < len(purchases)
    assert not purchases.loc[~purchases["approached"], "won"].any()


def test_most_deals_match_a_member_by_normalised_email(town: Simulated):
    deals, members = frame(town, "deals"), frame(town, "members")
    by_email = normalise(deals["email"]).isin(set(members["email"]))
    raw = deals["email"].isin(set(members["email"]))
    by_domain = deals["domain"].str.lower().str.removeprefix("www.").isin(set(members["email_domain"]))
    assert 0.6 < by_email.mean() < 0.9
    assert raw.mean() < by_email.mean()
    assert by_email.mean() < (by_email | by_domain).mean() < 1.0


def test_addresses_are_fictional_and_unique(town: Simulated):
    members = frame(town, "members")
    assert members["email"].str.endswith(".example").all()
    assert (members.groupby("email")["member_id"].nunique() == 1).all()
    assert frame(town, "deals")["email"].dropna().str.strip().str.lower().str.endswith(".example").all()


def test_colleagues_become_customers_only_after_the_win(town: Simulated):
    truth, members = town[1], frame(town, "members").sort_values(["member_id", "valid_from"])
    before = members.groupby("member_id")["role"].shift()
    became = members[(members["role"] == "customer") & (before == "prospect")]
    became = became.merge(truth.members()[["member_id", "account"]], on="member_id")
    weeks = (became["valid_from"] - truth.start) / timedelta(weeks=1)
    assert len(became) > 0
    assert (weeks.to_numpy() >= truth.sales.customer_from[became["account"]]).all()


def test_contacts_are_by_points_at_random_and_inbound(town: Simulated):
    contacts = frame(town, "contacts")
    counts = contacts["chosen_by"].value_counts()
    assert counts["score"] > counts["random"] > counts["inbound"] > 0
    at_random = contacts["chosen_by"] == "random"
    assert contacts.loc[at_random, "propensity"].between(0.0, 1.0, inclusive="right").all()
    assert contacts.loc[~at_random, "propensity"].isna().all()


def test_sales_never_approaches_employees_or_who_refuses(town: Simulated):
    members = frame(town, "members")
    barred = members.loc[(members["role"] == "employee") | members["consent"].isna(), "member_id"]
    assert len(barred) > 0
    assert not frame(town, "contacts")["member_id"].isin(barred).any()


def test_a_deal_names_its_people_for_part_of_the_deals(town: Simulated):
    deals, people = frame(town, "deals"), frame(town, "deal_contacts")
    named = deals["deal_id"].isin(people["deal_id"]).mean()
    assert 0.35 < named < 0.65
    assert set(people["deal_id"]) <= set(deals["deal_id"])
    assert not people.duplicated().any()
    assert people.groupby("deal_id").size().max() > 1


def test_people_on_a_deal_are_who_was_approached_and_the_buying_group(town: Simulated):
    truth, people = town[1], frame(town, "deal_contacts")
    exported = sorted(truth.sales.deals, key=lambda d: (d.opened, d.account))
    members = truth.members().set_index("member_id")
    joined = frame(town, "members").groupby("member_id")["joined_at"].first()
    refused = set(frame(town, "members").query("consent.isna()")["member_id"])
    for deal_id, one in people.groupby("deal_id")["member_id"]:
        deal = exported[int(deal_id.removeprefix("D-")) - 1]
        approached = int(truth.world.member_id[deal.member])
        assert approached in set(one)
        assert set(members.loc[one, "account"]) == {deal.account}
        assert members.loc[one[one != approached], "buying_group"].all()
        closed = truth.start + timedelta(weeks=min(deal.closed, 130.0))
        assert (joined[one] < closed).all()
        assert not refused & set(one)


def test_a_deal_that_names_its_people_needs_no_key(town: Simulated):
    matches = Community(**town[0]).matches
    assert (matches["by"] == "deal_contacts").any()
    assert 0 < (matches["status"] != "matched").sum() < 10


def test_a_reply_is_in_a_thread_that_its_counterpart_opened_before(town: Simulated):
    activity = frame(town, "activity")
    opened = activity[activity["action"].isin(["question", "post"])].set_index("content_id")
    replies = activity[activity["action"].isin(["answer", "comment", "recommend"])].dropna(
        subset="content_id"
    )
    assert len(replies) > 1_000
    thread = opened.loc[replies["content_id"].astype("int64")]
    assert (thread["occurred_at"].to_numpy() < replies["occurred_at"].to_numpy()).all()
    met = replies["other_member_id"].notna().to_numpy()
    other = replies["other_member_id"].fillna(-1).astype("int64")
    assert (other[met].to_numpy() == thread["member_id"][met].to_numpy()).all()
    assert (replies["member_id"].to_numpy()[~met] == thread["member_id"][~met]).all()


def test_every_thread_has_a_number_of_its_own_in_the_order_of_time(town: Simulated):
    activity = frame(town, "activity")
    threads = activity.loc[activity["action"].isin(["question", "post"]), "content_id"]
    assert threads.is_monotonic_increasing
    assert threads.is_unique


def test_a_library_page_is_about_the_first_tag(town: Simulated):
    activity = frame(town, "activity")
    read = activity[activity["action"].isin(["view", "download"])]
    assert read["content_id"].notna().all()
    assert (read["tags"].str[0].groupby(read["content_id"]).nunique() == 1).all()
    assert activity.loc[activity["action"].isin(["search", "connect", "invite"]), "content_id"].isna().all()


def test_talkative_members_never_buy_and_do_more_than_quiet_buyers(town: Simulated):
    truth, activity = town[1], frame(town, "activity")
    members = truth.members().set_index("member_id")
    number = activity["member_id"].value_counts().reindex(members.index, fill_value=0)
    talkative, quiet = members["trait"] == "talkative", members["trait"] == "quiet"
    assert number[talkative].mean() > 2 * number[quiet].mean()
    now = truth.at("2025-06-01").set_index("member_id")
    assert (now["probability"].reindex(members.index[talkative]).dropna() == 0).all()
    buyers = set(truth.purchases()["account"])
    assert not buyers & set(members.loc[talkative, "account"])
    assert buyers & set(members.loc[quiet, "account"])


def test_truth_speaks_of_each_member_who_had_joined(town: Simulated):
    joined = frame(town, "members").groupby("member_id")["joined_at"].first()
    now = town[1].at("2025-03-01")
    assert set(now["member_id"]) == set(joined.index[joined < pd.Timestamp("2025-03-01", tz="UTC")])
    assert now["member_id"].is_unique


def test_probabilities_are_probabilities_and_rise_with_the_stage(town: Simulated):
    rows = pd.concat([account_rows(town, at) for at in ("2024-06-01", "2025-01-01", "2025-08-01")])
    assert rows["probability"].between(0.0, 1.0).all()
    assert set(rows["stage"]) == set(STAGES)
    mean = rows.groupby("stage")["probability"].mean()
    assert mean["none"] < mean["epiphany"] < mean["interest"] < mean["evaluation"]
    assert mean["interest"] < mean["decision"]


def test_a_longer_horizon_never_lowers_the_truth(town: Simulated):
    short, long = town[1].at("2025-02-05T07:00", "30d"), town[1].at("2025-02-05T07:00", "90d")
    assert (long["probability"] >= short["probability"] - 1e-12).all()
    assert (long["would_buy"] >= short["would_buy"]).all()


@pytest.mark.parametrize("markov", [True, False])
def test_probability_agrees_with_what_happens(markov: bool):
    simulated = simulate_tables(members=15_000, weeks=80, seed=5, markov=markov)
    rows = pd.concat(
        [account_rows(simulated, at) for at in ("2024-02-07", "2024-06-05T12:00", "2024-10-01", "2025-03-06")]
    )
    sums = rows.groupby("stage")[["probability", "would_buy"]].sum()
    spread = np.sqrt((rows["probability"] * (1 - rows["probability"])).groupby(rows["stage"]).sum())
    assert (abs(sums["probability"] - sums["would_buy"]) < 3.5 * spread + 1).all()
    assert abs(sums["probability"].sum() - sums["would_buy"].sum()) < 3.5 * np.sqrt((spread**2).sum())


def test_every_deal_won_in_the_window_is_in_the_truth(town: Simulated):
    truth = town[1]
    for cutoff in pd.date_range("2024-02-01 13:00", "2026-03-01", freq="45D", tz="UTC"):
        start = (cutoff - truth.start) / timedelta(weeks=1)
        sold = {d.account for d in truth.sales.deals if d.won and start <= d.closed < start + 90 / 7}
        rows = account_rows(town, cutoff)
        assert rows.loc[rows["account"].isin(sold), "would_buy"].all()


def test_a_member_of_a_customer_is_past_buying(town: Simulated):
    truth = town[1]
    deal = next(d for d in truth.sales.deals if d.won)
    after = truth.start + timedelta(weeks=deal.closed) + timedelta(days=1)
    row = account_rows(town, after).set_index("account").loc[deal.account]
    assert (row["stage"], row["probability"], row["would_buy"]) == ("none", 0.0, False)


def test_the_truth_of_several_cutoffs_is_that_of_each(hamlet: Simulated):
    several = hamlet[1].to_pandas(["2024-02-01", "2024-03-01"], "30d")
    second = several[several["cutoff"] == pd.Timestamp("2024-03-01", tz="UTC")].drop(columns="cutoff")
    pd.testing.assert_frame_equal(second.reset_index(drop=True), hamlet[1].at("2024-03-01", "30d"))
    assert several["cutoff"].nunique() == 2
    with pytest.raises(InputError, match="no cutoff"):
        hamlet[1].to_pandas([])


def test_buyers_come_more_often_and_read_about_buying_the_further_they_are(town: Simulated):
    """What the table of effects in docs/simulator.md promises, for awake and dormant members alike."""
    activity, truth = frame(town, "activity"), town[1]
    number = np.full(truth.world.member_id.max() + 1, -1)
    number[truth.world.member_id] = np.arange(len(truth.world.account))
    member = number[activity["member_id"]]
    week = ((activity["occurred_at"] - truth.start) // pd.Timedelta("7D")).to_numpy(np.int64)
    state = truth.journeys.state[truth.world.account[member], week]
    buying = set(truth.parameters.early_tags + truth.parameters.late_tags)
    tagged = np.array([tags is not None and not buying.isdisjoint(tags) for tags in activity["tags"]])
    here = truth.world.joined[:, None] < np.arange(130)
    states = truth.journeys.state[truth.world.account, :130]
    rate, share = {}, {}
    for stage in (0, 2, 3):
        rows = truth.world.in_group[member] & (state == stage)
        rate[stage] = rows.sum() / (here & truth.world.in_group[:, None] & (states == stage)).sum()
        share[stage] = tagged[rows].mean()
    assert rate[2] > 1.6 * rate[0]
    assert rate[3] > 2.8 * rate[0]
    assert share[3] > share[2] > share[0]


def test_random_approaches_weigh_on_average_what_they_stand_for():
    parameters = SimulationParameters(random_contacts=0.01, score_contacts=0.005)
    _, truth = simulate_tables(members=4_000, weeks=60, seed=7, parameters=parameters)
    eligible = weight = variance = 0.0
    for cutoff in pd.date_range("2024-01-01", periods=4, freq="91D", tz="UTC"):
        rows = truth.exploration(cutoff, "91d")
        eligible, weight = eligible + rows["eligible"].sum(), weight + rows["weight"].sum()
        variance += (rows["weight"] ** 2).sum()
    assert eligible > 1_000
    assert abs(weight - eligible) < 4 * np.sqrt(variance)


def test_the_chance_of_a_random_approach_adds_up_to_the_draws():
    parameters = SimulationParameters(random_contacts=0.002)
    _, truth = simulate_tables(members=4_000, weeks=60, seed=7, parameters=parameters)
    rows = pd.concat(
        [truth.exploration(at, "7d") for at in pd.date_range("2024-01-08", "2025-02-10", freq="7D")]
    )
    assert rows["draws"].max() == 1
    assert abs(rows["propensity"].sum() - rows["draws"].sum()) < 4 * np.sqrt(rows["propensity"].sum())
    drawn = rows[rows["draws"] > 0]
    assert (drawn["weight"] * drawn["propensity"]).to_numpy() == pytest.approx(1.0)
    assert (drawn["eligible"] == 1.0).all()


def test_a_window_that_reaches_past_the_log_has_no_exploration(hamlet: Simulated):
    with pytest.raises(InputError, match="past the log"):
        hamlet[1].exploration("2024-05-01", "90d")


def test_without_markov_the_weeks_in_a_stage_tell_when_it_ends():
    parameters = SimulationParameters()
    markov, other = stage_law(parameters, markov=True), stage_law(parameters, markov=False)
    assert np.ptp(markov.hazard, axis=1).max() == 0
    assert (np.diff(other.hazard[1:5, :10], axis=1) > 0).all()
    assert other.route[1, 3] > 0 == markov.route[1, 3]


def test_without_markov_the_community_is_another(hamlet: Simulated):
    tables, _ = simulate_tables(members=200, weeks=20, seed=3, markov=False)
    assert not tables["activity"].equals(hamlet[0]["activity"])


def test_no_column_carries_the_truth(town: Simulated):
    tables = town[0]
    words = {"stage", "trait", "probability", "would_buy", "buying_group", "luck", *STAGES[1:]}
    for name, table in tables.items():
        assert not words & set(table.column_names), name
        for column in ("action", "value", "field", "group_id", "role", "outcome", "chosen_by"):
            if column in table.column_names:
                assert not words & set(table[column].to_pandas().dropna().unique()), column


def test_identifiers_say_nothing_about_who_buys(town: Simulated):
    members = town[1].members()
    ever = members["account"].isin(set(town[1].purchases()["account"]))
    lower = members["member_id"] < members["member_id"].median()
    assert abs(ever[lower].mean() - ever[~lower].mean()) < 0.03


def test_each_mix_and_row_has_the_length_of_what_it_describes():
    p = SimulationParameters()
    assert all(len(row) == len(ACTIONS) for row in (*p.mixes, p.points, p.action_drift))
    assert (
        len(p.stage_rate)
        == len(p.stage_weight)
        == len(p.stage_tag)
        == len(p.inbound)
        == len(p.win)
        == len(STAGES)
    )
    assert (
        len(p.early_tags + p.late_tags + p.topic_tags)
        == len(set(p.early_tags + p.late_tags + p.topic_tags))
        == 60
    )


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [({"members": 3}, "members=3"), ({"weeks": 1}, "weeks=1"), ({"start": "soon"}, "soon")],
)
def test_an_impossible_size_or_start_is_refused(arguments: dict[str, object], seen: str):
    with pytest.raises(InputError, match=seen):
        simulate_tables(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cutoff", "horizon"),
    [
        ("2020-01-01", "90d"),
        ("2030-01-01", "90d"),
        ("2024-03-01", "soon"),
        ("2024-03-01", "0d"),
        ("2024-03-01", "900d"),
        ("x", "90d"),
    ],
)
def test_a_cutoff_or_horizon_outside_what_was_simulated_is_refused(
    hamlet: Simulated, cutoff: str, horizon: str
):
    with pytest.raises(InputError):
        hamlet[1].at(cutoff, horizon)


def test_a_start_in_another_zone_is_the_same_moment():
    utc = simulate_tables(members=20, weeks=4, start="2024-01-01T00:00:00+00:00")[0]["activity"]
    other = simulate_tables(members=20, weeks=4, start="2024-01-01T02:00:00+02:00")[0]["activity"]
    assert utc.equals(other)
