"""Catalogues compile to plans with names that can be foretold, and their reasons speak of their own columns."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from leadlight.behaviours import (
    CORPORATE_COMMUNITY,
    PASSIVE_CANDIDATE,
    QUESTION_COMMUNITY,
    Behaviour,
    Catalogue,
    Completeness,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Ratio,
    Recency,
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.behaviours.catalogue import PLACEHOLDER
from leadlight.behaviours.selection import encode_entry
from leadlight.errors import InputError
from leadlight.plan import HandSetPoints, Plan
from leadlight.simulate import simulate_community

ALL_THREE = pytest.mark.parametrize(
    "catalogue", [CORPORATE_COMMUNITY, QUESTION_COMMUNITY, PASSIVE_CANDIDATE], ids=repr
)
MEMBERS = [{"member_id": m, "account_id": "acme"} for m in ("ann", "bob")]
LOG = (
    "ann view 2024-03-01 tags=visa|Steuer,Recht group=beta role=buyer job=it domain=a.example for=5;"
    "bob join_group 2024-03-02 group=beta; bob profile_update 2024-03-02 field=photo value=x"
)


@pytest.fixture(scope="module")
def simulated():
    return simulate_community(members=200, weeks=40, seed=3)[0]


def names(community, *features, **options):
    plan = Catalogue([Behaviour("b", features, reason="")]).compile(
        community, **{"min_members": 1, **options}
    )
    return list(plan.column_names)


@pytest.mark.parametrize("catalogue", [CORPORATE_COMMUNITY, PASSIVE_CANDIDATE], ids=repr)
def test_a_catalogue_of_the_field_has_ten_behaviours(catalogue):
    assert len(catalogue) == 10


@ALL_THREE
def test_a_catalogue_compiles_with_and_without_accounts(catalogue, simulated, table):
    for community in (simulated, table("ann view 2024-03-01")):
        plan = catalogue.compile(community)
        plan.check()
        assert len(plan.behaviours) == len(catalogue)


@ALL_THREE
def test_columns_are_unique_and_each_belongs_to_one_behaviour(catalogue, simulated):
    plan = catalogue.compile(simulated, min_members=2)
    assert len(set(plan.column_names)) == len(plan.columns)
    assert sorted(c for b in plan.behaviours for c in b.columns) == sorted(plan.column_names)


@ALL_THREE
def test_reasons_and_points_name_columns_of_their_own(catalogue, simulated):
    for behaviour in catalogue.compile(simulated, min_members=1).behaviours:
        assert behaviour.reasons
        for template in behaviour.reasons:
            for name, _ in PLACEHOLDER.findall(template):
                head, _, rest = name.partition(".*")
                assert any(c == name or (rest != name and c.startswith(f"{head}.") and c.endswith(rest)) for c in
                           behaviour.columns), name  # fmt: skip
        assert behaviour.points is None or {c for c, _ in behaviour.points.units} <= set(behaviour.columns)


@ALL_THREE
def test_a_compiled_plan_survives_json(catalogue, simulated):
    plan = catalogue.compile(simulated, "2024-06-01", min_members=2)
    again = Plan.from_dict(json.loads(plan.to_json()))
    assert again.digest == plan.digest
    assert again == plan


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Count("question", window="28d"), ["question_count_28d"]),
        (Count("post", window=timedelta(days=28)), ["post_count_28d"]),
        (Count(("post", "question"), window=("7d", "all")), ["post_or_question_count_7d", "post_or_question_count_all"]),
        (Count("answer", window="30d", side="received"), ["answer_received_count_30d"]),
        (Count(window="30d"), ["activity_count_30d"]),
        (Count("invite", window="30d", same_domain=True), ["invite_same_domain_count_30d"]),
        (Count(by="tag", window="30d"), ["tag.%53teuer%2C%52echt_count_30d", "tag.visa_count_30d"]),
        (Count(by="tag", window="30d", only=("visa",)), ["tag.visa_count_30d"]),
        (Count(by="tag", window="30d", only=("visa",), side="received"), ["tag.visa_activity_received_count_30d"]),
        (Count("join_group", window="all", by="group"), ["group.beta_joined_all"]),
        (Count("join_group", window="all", by="group", side="received"), ["group.beta_join_group_received_count_all"]),
        (Count("view", window="all", by="role"), ["role.buyer_view_count_all"]),
        (Recency("question"), ["question_recency_days"]),
        (Recency(), ["activity_recency_days"]),
        (Sum(window="30d"), ["activity_duration_s_30d"]),
        (FirstTime("question", window="30d"), ["question_first_time_30d"]),
        (Trend("post", window="90d"), ["post_trend_90d"]),
        (Surprise(window="30d"), ["activity_surprise_30d"]),
        (Ratio(Count("answer", window="30d"), Count("question", window="30d")), ["answer_per_question_30d"]),
        (Ratio(Count("answer", window="30d"), Count("question")), ["answer_per_question_30d_of_all"]),
        (Distinct("tag", window="30d"), ["tag_distinct_30d"]),
        (Entropy("tag", window="90d"), ["tag_entropy_90d"]),
        (Entropy("tag", window="90d", action="view"), ["tag_view_entropy_90d"]),
        (Visits(window="30d"), ["visit_count_30d"]),
        (Visits(measure="per_month"), ["visits_per_month"]),
        (Visits(measure="last_visit"), ["last_visit_s"]),
        (Completeness(), ["profile_completeness"]),
        (Peers(Count("view", window="30d")), ["peers_view_count_30d"]),
        (Tenure(), ["tenure_days"]),
    ],
    ids=lambda v: type(v).__name__ if not isinstance(v, list) else v[0],
)  # fmt: skip
def test_a_column_has_the_name_that_its_feature_says(table, feature, expected):
    assert names(table(LOG, members=MEMBERS), feature) == expected


@pytest.mark.parametrize(
    ("entry", "encoded"),
    [
        ("visa", "visa"),
        ("a-1", "a-1"),
        ("Q & A", "%51%20%26%20%41"),
        ("ü", "%C3%BC"),
        ("a_b", "a%5Fb"),
        ("%", "%25"),
    ],
)
def test_entries_are_percent_encoded_outside_small_letters_digits_and_hyphens(entry, encoded):
    assert encode_entry(entry) == encoded


def test_an_entry_used_by_few_members_stays_out(table):
    log = "; ".join(f"m{i} view 2024-03-01 tags={'common' if i < 20 else 'rare'}" for i in range(39))
    assert names(table(log), Count(by="tag"), min_members=20) == ["tag.common_count_all"]


def test_twenty_members_are_asked_for_by_default(table):
    log = "; ".join(f"m{i} view 2024-03-01 tags=visa" for i in range(19))
    asked = Catalogue([Behaviour("b", (Count(by="tag"), Count("view")), reason="")])
    assert asked.compile(table(log)).vocabularies == {"tag": ()}
    assert asked.compile(table(log + "; m19 view 2024-03-01 tags=visa")).vocabularies == {"tag": ("visa",)}


def test_one_member_with_many_rows_is_one_member(table):
    log = "; ".join(f"ann view 2024-03-0{d} tags=secret" for d in range(1, 9))
    assert names(table(log), Count(by="tag"), min_members=2) == []


def test_a_vocabulary_goes_by_frequency_then_by_text(table):
    log = "a view 2024-03-01 tags=c|b|a; b view 2024-03-01 tags=c"
    assert names(table(log), Count(by="tag", top=2)) == ["tag.c_count_all", "tag.a_count_all"]


@pytest.mark.parametrize(
    ("known", "there"), [("2024-02-29T23:59:59.999999", True), ("2024-03-01T00:00:00", False)]
)
def test_a_vocabulary_reads_only_what_was_known_before(table, known, there):
    community = table(f"ann view 2024-02-01 known={known} tags=visa")
    assert bool(names(community, Count(by="tag"), before="2024-03-01")) == there


def test_a_reason_must_name_a_column_of_its_behaviour(table):
    wrong = Behaviour(
        "asks", (Count("question", window="28d"),), reason="asked {question_count_30d} questions"
    )
    with pytest.raises(InputError, match=r"'question_count_30d'.*did you mean 'question_count_28d'"):
        Catalogue([wrong]).compile(table(LOG))


def test_a_reason_with_a_star_must_fit_the_columns_of_a_vocabulary(table):
    wrong = Behaviour("reads", (Count(by="tag", window="28d"),), reason="{tag.*_count_30d}")
    with pytest.raises(InputError, match="does not measure"):
        Catalogue([wrong]).compile(table(LOG), min_members=1)


def test_a_star_of_an_unknown_attribute_is_an_error(table):
    with pytest.raises(InputError, match="does not measure"):
        Catalogue([Behaviour("reads", (Count("view"),), reason="{tagg.*}")]).compile(table(LOG))


def test_points_must_use_columns_of_their_behaviour(table):
    points = HandSetPoints(1, (("view_count_all", 1.0),), 1)
    with pytest.raises(InputError, match="points of 'asks'"):
        Catalogue([Behaviour("asks", (Count("question"),), reason="", points=points)]).compile(table(LOG))


def test_two_behaviours_cannot_make_one_column(table):
    both = Catalogue([Behaviour(n, (Count("question"),), reason="") for n in ("a", "b")])
    with pytest.raises(InputError, match="made by 'a' and by 'b'"):
        both.compile(table(LOG))


def test_one_name_cannot_stand_for_two_columns(table):
    both = Behaviour("a", (Distinct("tag", top=1), Distinct("tag", top=2)), reason="")
    with pytest.raises(InputError, match="two different columns 'tag_distinct_90d'"):
        Catalogue([both]).compile(table(LOG), min_members=1)


def test_behaviours_must_have_different_names():
    with pytest.raises(InputError, match=r"\['a'\]"):
        Catalogue([Behaviour("a", (Count("view"),), reason="")] * 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Behaviour("", (Count("view"),), reason=""),
        lambda: Behaviour("a", (), reason=""),
        lambda: Catalogue([]),
        lambda: Count("view", side="taken"),
        lambda: Count("view", by="tags"),
        lambda: Count("view", by="tag", same_domain=True),
    ],
    ids=["no name", "no features", "no behaviours", "side", "by", "by and same_domain"],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize(
    "feature",
    [
        Trend("view", window="all"),
        Surprise("view", window="all"),
        Count("view", window="0d"),
        Count("view", window="30"),
        Recency(("view", "post")),
        Sum(("view", "post")),
        Ratio(Count("view", window=("7d", "30d")), Count("post")),
        Peers(Count("view", side="received")),
    ],
    ids=repr,
)
def test_a_feature_that_makes_no_sense_is_refused_when_it_is_compiled(table, feature):
    with pytest.raises(InputError):
        names(table(LOG, members=MEMBERS), feature)


def test_what_is_said_of_colleagues_goes_where_nobody_has_an_account(table):
    reads = Behaviour(
        "reads", (Count("view"), Peers(Count("view"))), reason=("{view_count_all}", "{peers_view_count_all}")
    )
    planned = Catalogue([reads]).compile(table(LOG)).behaviours[0]
    assert planned.columns == ("view_count_all",)
    assert planned.reasons == ("{view_count_all}",)


def test_catalogues_add_up():
    one, two = (Catalogue([Behaviour(n, (Count(n),), reason="")], name=n) for n in ("a", "b"))
    assert [b.name for b in one + two] == ["a", "b"]
    assert one + two == Catalogue([*one, *two])
    assert hash(one) == hash(Catalogue(list(one), name="other"))
