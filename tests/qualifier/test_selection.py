"""Who was approached decides which labels mean no, and whether to discount is compared where labels can tell."""

from __future__ import annotations

import html
import warnings

import numpy as np
import pandas as pd
import pytest

from leadlight import (
    Behaviour,
    Catalogue,
    LeadClassifier,
    LeadQualifier,
    Observations,
    Recency,
    build_features,
    evaluate,
    load,
    observe,
)
from leadlight.errors import InputError, LeadlightWarning
from leadlight.explain.report import write_report
from leadlight.qualifier import comparison
from leadlight.qualifier.colleagues import with_colleagues
from leadlight.qualifier.comparison import ENOUGH_BUYERS, Slice, comparable, compare, quick_log_odds, select
from leadlight.qualifier.selection import calibrated_on, choose, training_weight


def rows(contacted, label=(1, 1, 0, 0), weight=(0.5, 1.0, 1.0, 1.0)):
    frame = [
        {"member_id": f"m{i}", "cutoff": "2024-01-01", "label": one, "weight": w}
        for i, (one, w) in enumerate(zip(label, weight, strict=True))
    ]
    found = Observations.from_frame(frame)
    found.frame["contacted"] = contacted
    return found


KNOWN, UNKNOWN = rows([True, False, True, False]), rows([None] * 4)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [("none", [0.5, 1, 1, 1]), ("discount", [0.5, 1, 1, 0.1]), ("contacted-only", [0.5, 1, 1, 0])],
)
def test_whom_nobody_asked_weighs_less(selection, expected):
    assert training_weight(selection, KNOWN).tolist() == expected
    assert KNOWN.weight.tolist() == [0.5, 1, 1, 1]


def test_auto_begins_with_a_discount_where_it_is_known_who_was_asked():
    assert choose("auto", KNOWN) == "discount"
    assert choose("auto", UNKNOWN) == "none"


@pytest.mark.parametrize("selection", ["discount", "contacted-only"])
def test_without_contacts_there_is_nothing_to_discount_by(selection):
    with pytest.raises(InputError, match="contacts table"):
        choose(selection, UNKNOWN)


def test_an_unknown_selection_is_an_error():
    with pytest.raises(InputError, match="'most'"):
        choose("most", KNOWN)


@pytest.mark.parametrize(
    ("selection", "asked"), [("auto", True), ("discount", True), ("contacted-only", True), ("none", False)]
)
def test_the_estimand_says_what_was_calibrated_on(community, catalogue, selection, asked):
    every = observe(community, every="120d")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        fitted = LeadQualifier(catalogue, selection=selection).fit(community, every)
    assert ("| approached" in fitted.estimand_) is asked
    assert ("present sales practice" in fitted.estimand_) is not asked
    assert fitted.scorer_.estimand == fitted.estimand_
    p = 1 / (1 + np.exp(-fitted.classifier_.oof_log_odds_))
    label = (every.frame["label"] == 1).to_numpy()
    base = (every.frame["contacted"] == True).to_numpy(bool) if asked else np.ones(len(label), bool)  # noqa: E712
    base = base & ~with_colleagues(every, label.astype(float))[2]
    assert p[base].mean() == pytest.approx(label[base].mean(), rel=1e-3)


def judged(discount, none, weight=None, groups=None):
    """Compare log-odds of rows that did not buy, and of one that did and is told apart by neither."""
    label = np.array([0.0] * len(discount) + [1.0])
    log_odds = {"discount": np.append(discount, 0.0), "none": np.append(none, 0.0)}
    weight = np.ones(len(label)) if weight is None else np.append(weight, 1.0)
    groups = np.arange(len(label)) if groups is None else np.array([*groups, "buyer"])
    return compare(Slice("contacted", weight, 12), label, groups, log_odds)


@pytest.mark.parametrize(
    ("discount", "none", "chosen"),
    [
        ([-3, -3, -3, -3], [-1, -1, -1, -1], "discount"),
        ([-1, -1, -1, -1], [-3, -3, -3, -3], "none"),
        ([-1, -1, -3, -3], [-1, -3, -1, -1], "discount"),
        ([-1, -3, -1, -1], [-1, -1, -3, -3], "discount"),
    ],
)
def test_the_discount_goes_only_where_it_is_worse_by_more_than_its_error(discount, none, chosen):
    found = judged(discount, none)
    assert found["chosen"] == chosen
    assert found["difference"] == pytest.approx(found["log_loss"]["discount"] - found["log_loss"]["none"])


def test_rows_of_one_account_are_one_piece_of_evidence():
    discount, none = [-1.0] * 6, [-3.0, -3.0, -3.0, -1.0, -0.5, -1.0]
    alone, together = judged(discount, none), judged(discount, none, groups=[1, 1, 1, 2, 3, 4])
    assert together["difference"] == alone["difference"]
    assert together["standard_error"] > 1.2 * alone["standard_error"]
    assert (alone["chosen"], together["chosen"]) == ("none", "discount")


def test_a_row_counts_with_its_inverse_propensity():
    thrice = judged([-1, -3], [-3, -1], weight=[3.0, 1.0])
    losses = np.logaddexp(0, [-1, -3, 0])
    assert thrice["log_loss"]["discount"] == pytest.approx((3 * losses[0] + losses[1] + np.log(2)) / 5)


def test_rows_outside_the_slice_change_nothing():
    inside, beyond = judged([-1, -3], [-3, -1]), judged([-1, -3, 9], [-3, -1, -9], weight=[1, 1, 0])
    assert inside == beyond


def test_the_sentence_says_both_figures_and_what_was_decided():
    found = judged([-1, -1, -1], [-3, -3, -3])
    for name in ("discount", "none"):
        assert f"{found['log_loss'][name]:.5f}" in found["why"]
    assert "4 training rows" in found["why"]
    assert "12 buyers" in found["why"]
    assert found["why"].endswith("counts as a no in full.")


def approached(table, draws, calls, more=4):
    """Return a community and rows of members who bought after a random draw or a call, and some who did not."""
    random = [f"d{i}" for i in range(draws + more)]
    called = [f"c{i}" for i in range(calls + more)]
    everybody = [*random, *called]
    contacts = [
        {"member_id": m, "contacted_at": "2024-01-05", "chosen_by": chosen_by, "propensity": p}
        for members, chosen_by, p in ((random, "random", 0.02), (called, "score", None))
        for m in members
    ]
    community = table("; ".join(f"{m} view 2023-12-20" for m in everybody), contacts=contacts)
    bought = [m in (*random[:draws], *called[:calls]) for m in everybody]
    frame = [
        {"member_id": m, "cutoff": "2024-01-01", "label": int(b)}
        for m, b in zip(everybody, bought, strict=True)
    ]
    found = Observations.from_frame(frame)
    found.frame["contacted"] = True
    return community, found, np.array(bought, float)


@pytest.mark.parametrize(
    ("draws", "calls", "name", "buyers"),
    [
        (ENOUGH_BUYERS, 3, "explored", ENOUGH_BUYERS),
        (ENOUGH_BUYERS - 1, 1, "contacted", ENOUGH_BUYERS),
        (0, ENOUGH_BUYERS, "contacted", ENOUGH_BUYERS),
    ],
)
def test_the_explored_slice_goes_first_where_enough_of_it_bought(table, draws, calls, name, buyers):
    found, _ = comparable(*approached(table, draws, calls), np.ones(draws + calls + 8, bool))
    assert (found.name, found.buyers) == (name, buyers)


def test_logged_chances_weigh_the_rows_that_are_calibrated_on(table):
    community, found, label = approached(table, 2 * ENOUGH_BUYERS, 0, more=1)
    community.contacts["propensity"] = np.where(np.arange(len(community.contacts)) % 2, 0.02, 0.04)
    on = calibrated_on("auto", community, found, label, np.ones(len(label), bool))
    member = pd.Index(community.members.ids).get_indexer(found.frame["member_id"])
    chance = community.contacts.set_index("member")["propensity"].reindex(member).to_numpy()
    weeks = found.windows.reach_us / 604_800e6
    assert on.weight == pytest.approx(1 / (chance * weeks))
    assert on.estimand(90).endswith("weighted by the inverse of the logged chance of each approach")


def test_one_approach_of_unknown_chance_lets_all_rows_weigh_alike(table):
    on = calibrated_on("auto", *approached(table, ENOUGH_BUYERS, 0, more=1), np.ones(ENOUGH_BUYERS + 2, bool))
    assert on.weight.tolist() == [1.0] * (ENOUGH_BUYERS + 2)
    assert "not all approaches have a logged propensity" in on.told
    assert "ignorable" in on.estimand(90)


@pytest.mark.parametrize(("rarest", "weighted"), [(0.02, True), (0.0005, False)])
def test_weights_that_leave_fewer_than_twenty_equal_buyers_are_not_used(table, rarest, weighted):
    community, found, label = approached(table, ENOUGH_BUYERS, 0, more=1)
    community.contacts["propensity"] = 0.02
    community.contacts.loc[community.contacts["member"] == 0, "propensity"] = rarest
    on = calibrated_on("auto", community, found, label, np.ones(len(label), bool))
    assert on.weighted is weighted
    assert ("equal ones" in on.told) is not weighted


def test_rows_without_a_whole_window_are_not_calibrated_on(table):
    community, found, label = approached(table, ENOUGH_BUYERS, 0, more=1)
    whole = np.arange(len(label)) != 3
    assert (calibrated_on("auto", community, found, label, whole).weight > 0).tolist() == whole.tolist()
    assert (calibrated_on("none", community, found, label, whole).weight > 0).tolist() == whole.tolist()
    assert calibrated_on("none", community, found, label, whole | True).weight is None


def test_probabilities_stand_for_all_members_where_chances_of_approaches_are_logged(table):
    """Sales call the keen ones five times as often, and no feature tells who they are."""
    rng = np.random.default_rng(5)
    keen = np.arange(1_600) % 4 == 0
    chance = np.where(keen, 0.5, 0.1)
    asked = rng.random(1_600) < chance
    bought = asked & (rng.random(1_600) < np.where(keen, 0.3, 0.03))
    contacts = [
        {"member_id": f"m{i}", "contacted_at": "2024-01-05", "chosen_by": "score", "propensity": chance[i]}
        for i in np.flatnonzero(asked)
    ]
    log = "; ".join(f"m{i} view 2023-12-{10 + i % 7}" for i in range(1_600))
    given = pd.DataFrame({"member_id": [f"m{i}" for i in range(1_600)], "cutoff": "2024-01-01"})
    every = Observations.from_frame(given.assign(label=bought.astype(int)))
    every.frame["contacted"] = asked
    catalogue = Catalogue([Behaviour("reads", (Recency("view"),), reason="")])
    mean = {}
    for logged in (True, False):
        known = pd.DataFrame(contacts).assign(**({} if logged else {"propensity": np.nan}))
        fitted = LeadQualifier(catalogue).fit(table(log, contacts=known), every)
        p = fitted.predict_proba(build_features(table(log), every, fitted.plan_))[:, 1]
        mean[logged] = p.mean()
    assert mean[True] == pytest.approx(0.25 * 0.3 + 0.75 * 0.03, abs=0.03)
    assert mean[False] == pytest.approx(bought[asked].mean(), abs=0.03)


def test_too_few_buyers_cannot_tell(table):
    found, why = comparable(*approached(table, 2, 3), np.ones(13, bool))
    assert found is None
    assert "2 buyers who were approached at random and 5 approached at all" in why


def test_open_windows_are_not_compared_on(table):
    usable = np.ones(ENOUGH_BUYERS + 8, bool)
    usable[0] = False
    assert comparable(*approached(table, ENOUGH_BUYERS, 0), usable)[0] is None


def test_an_approach_after_the_window_explores_nothing(table):
    community, rows, label = approached(table, ENOUGH_BUYERS, 0)
    community.contacts["contacted_us"] += rows.windows.reach_us
    assert comparable(community, rows, label, np.ones(len(rows), bool))[0].name == "contacted"


@pytest.mark.parametrize(("unasked_buy", "chosen"), [(True, "none"), (False, "discount")])
def test_the_quick_fits_find_out_whether_deals_need_an_approach(unasked_buy, chosen):
    """Sales prefer members of the first kind, who are no keener; only where deals need an approach does that mislead."""
    rng = np.random.default_rng(4)
    kind = rng.random(6000) < 0.5
    asked = rng.random(6000) < np.where(kind, 0.8, 0.1)
    keen = rng.random(6000) < 0.3
    label = ((rng.random(6000) < np.where(keen, 0.4, 0.05)) & (asked | unasked_buy)).astype(float)
    X = pd.DataFrame({"kind": np.where(kind, 9.0, 0.0), "keen": np.where(keen, 9.0, 0.0)})
    light = np.where(asked | (label > 0), 1.0, 0.1)
    groups = np.arange(6000)
    log_odds = quick_log_odds(X, label, {"none": np.ones(6000), "discount": light}, groups, asked, asked)
    found = compare(Slice("contacted", asked.astype(float), 100), label, groups, log_odds)
    assert found["chosen"] == chosen
    assert abs(found["difference"]) > found["standard_error"]


@pytest.fixture(name="quick_fits")
def _quick_fits(monkeypatch):
    """List the rows, labels and weights that each quick fit was given."""
    found, fit = [], comparison._quick_margin

    def counted(X, y, weight, groups, later):
        found.append((X, y, weight, groups, later))
        return fit(X, y, weight, groups, later)

    monkeypatch.setattr(comparison, "_quick_margin", counted)
    return found


def test_quick_fits_read_few_rows_that_weigh_what_all_do(quick_fits, monkeypatch):
    monkeypatch.setattr(comparison, "ENOUGH_OTHERS", 50)
    rng = np.random.default_rng(5)
    asked, label = rng.random(900) < 0.1, (rng.random(900) < 0.2).astype(float)
    X = pd.DataFrame({"x": rng.normal(size=900)})
    groups = np.repeat(np.arange(300), 3)
    quick_log_odds(X, label, {"none": np.ones(900)}, groups, asked, asked)
    needed = int((asked | (label > 0)).sum())
    assert sum(len(y) for _, y, *_ in quick_fits) == needed + 50
    assert sum(weight.sum() for _, _, weight, *_ in quick_fits) == pytest.approx(900)
    first, second = (set(groups) for *_, groups, _ in quick_fits)
    assert not first & second


def test_log_odds_are_out_of_fold_and_of_judged_rows_alone():
    rng = np.random.default_rng(6)
    asked = rng.random(2000) < 0.5
    label = (rng.random(2000) < 0.2).astype(float)
    X = pd.DataFrame({"x": rng.normal(size=2000), "row": rng.permutation(2000)})
    groups = np.repeat(np.arange(1000), 2)
    found = quick_log_odds(X, label, {"none": np.ones(2000)}, groups, asked, asked)["none"]
    assert np.array_equal(np.isfinite(found), asked)
    y, p = label[asked], 1 / (1 + np.exp(-found[asked]))
    assert p.mean() == pytest.approx(y.mean(), rel=1e-6)
    # Nothing can be learned here; a row that had seen its own label would be told apart.
    assert abs(np.corrcoef(p, y)[0, 1]) < 0.1


def fitted(catalogue, community, rows, **options):
    quick = LeadClassifier(ridge=0.1, n_folds=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        return LeadQualifier(catalogue, quick, **options).fit(community, rows)


def selected(catalogue, community, rows, selection="auto"):
    """Return what a fit would select, without the fit."""
    rows = rows.labelled()
    X = build_features(community, rows, catalogue)
    n = len(rows)
    return select(selection, community, rows, X, rows.label.to_numpy(float), np.ones(n), np.ones(n, bool))


@pytest.fixture(name="few_will_do")
def _few_will_do(monkeypatch):
    """The small community has four buyers who were approached at random."""
    monkeypatch.setattr(comparison, "ENOUGH_BUYERS", 4)


@pytest.mark.usefixtures("few_will_do")
def test_auto_keeps_what_it_compared(community, observations, catalogue, tmp_path, quick_fits):
    qualifier = fitted(catalogue, community, observations)
    report = qualifier.selection_report_
    assert len(quick_fits) == 4
    assert (report["slice"], report["buyers"]) == ("explored", 4)
    assert (report["asked"], report["chosen"]) == ("auto", qualifier.selection_)
    worse = report["log_loss"]["discount"] - report["log_loss"]["none"] > report["standard_error"]
    assert qualifier.selection_ == ("none" if worse else "discount")
    assert str(qualifier).endswith(report["why"])
    qualifier.save(tmp_path / "model")
    info = load(tmp_path / "model").info
    assert (info["selection_report"], info["selection_why"]) == (report, report["why"])
    assert LeadQualifier.load(tmp_path / "model").selection_report_ == report


@pytest.mark.usefixtures("few_will_do")
@pytest.mark.parametrize("chosen", ["none", "discount"])
def test_auto_fits_what_it_chose(community, observations, catalogue, monkeypatch, chosen):
    def decided(*args):
        return compare(*args) | {"chosen": chosen}

    monkeypatch.setattr(comparison, "compare", decided)
    auto = fitted(catalogue, community, observations)
    assert auto.selection_ == chosen
    taught, share, _ = with_colleagues(observations, (observations.frame["label"] == 1).to_numpy(float))
    assert np.array_equal(auto.training_[2], training_weight(chosen, observations, taught, share))
    assert "| approached" in auto.estimand_


def test_where_nothing_can_be_compared_there_is_no_quick_fit(
    community, observations, catalogue, quick_fits, monkeypatch
):
    monkeypatch.setattr(comparison, "ENOUGH_BUYERS", 10_000)
    chosen, report = selected(catalogue, community, observations)
    assert not quick_fits
    assert chosen == report["chosen"] == "discount"
    assert report["slice"] is None
    assert "discounted unmeasured" in report["why"]


@pytest.mark.usefixtures("few_will_do")
@pytest.mark.parametrize("selection", ["none", "discount", "contacted-only"])
def test_what_was_asked_for_is_not_compared(community, observations, catalogue, quick_fits, selection):
    chosen, report = selected(catalogue, community, observations, selection)
    assert not quick_fits
    assert chosen == report["chosen"] == selection


@pytest.mark.usefixtures("few_will_do")
def test_the_comparison_knows_nothing_after_training(community, observations, catalogue):
    early, _ = observations.split("2024-12-01", "2024-12-01")
    known = selected(catalogue, community, early)[1]
    later = community.contacts
    community.contacts = later[later["contacted_us"] < np.datetime64("2024-12-01", "us").astype(np.int64)]
    try:
        again = selected(catalogue, community, early)[1]
    finally:
        community.contacts = later
    # Inverse propensities are differences of running sums, which end in other dust.
    assert again.pop("log_loss") == pytest.approx(known.pop("log_loss"), abs=1e-12)
    assert {k: again[k] for k in ("rows", "buyers", "chosen")} == {
        k: known[k] for k in ("rows", "buyers", "chosen")
    }
    assert known["slice"] is not None


def test_the_report_of_an_evaluation_says_why(community, observations, catalogue, tmp_path):
    train, test = observations.split("2024-12-01", "2024-12-01")
    qualifier = fitted(catalogue, community, train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        report = evaluate(qualifier, community, test, ("random",), rounds=20)
    why = qualifier.selection_report_["why"]
    assert report.settings["selection_why"] == why
    assert why in html.unescape(write_report(tmp_path / "report.html", report=report).read_text())
