"""Windows that are still open teach what they have seen."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight import Behaviour, Capacity, Catalogue, Community, Count, LeadQualifier, Observations, observe
from leadlight.qualifier.open_windows import with_open_windows

DAY = "2024-01-{:02d}T00:00:00"


def rows_of(deals, frozen, **options):
    """One cutoff, 2024-01-01, of four members; the window is 30 days."""
    log = [{"member_id": m, "occurred_at": "2023-12-20", "action": "view"} for m in "abcd"]
    deals = [{"member_id": m, "outcome": "won", "closed_at": DAY.format(day)} for m, day in deals.items()]
    settings = {"every": "30d", "horizon": "30d", "start": "2024-01-01", "end": "2024-01-02"}
    return observe(
        Community(log, deals=deals or None), **settings, frozen_at=frozen, censored=True, **options
    )


def test_a_whole_window_teaches_a_whole_label():
    rows = rows_of({"a": 6}, "2024-03-01")
    label, share = rows.discrete_time("10d").teaches()
    assert label.tolist() == [1, 0, 0, 0]
    assert share.tolist() == [1.0] * 4


def test_an_open_window_is_a_no_by_the_share_of_deals_that_would_have_come():
    early = rows_of({"a": 6, "b": 15}, "2024-03-01")
    late = rows_of({}, "2024-01-12T00:00:00")
    periods = early.discrete_time("10d")
    # Four at risk and one won, three and one, two and none: hazard log(4/3) of log(4/2) in the first ten days.
    joined = type(periods)(
        rows=early.frame[["member_id", "account_id", "cutoff", "weight"]],
        opens_us=np.append(periods.opens_us, late.cutoff_us[:1]),
        at_risk=np.append(periods.at_risk, 1),
        won=np.append(periods.won, False),
        groups=np.append(periods.groups, "later"),
        interval_us=periods.interval_us,
        horizon_us=periods.horizon_us,
    )
    _, share = joined.teaches()
    # The fifth is at risk in the first interval, too: one of five, then one of three.
    expected = np.log(5 / 4) / (np.log(5 / 4) + np.log(3 / 2))
    assert share[:4].tolist() == [1.0] * 4
    assert share[4] == pytest.approx(expected)


def test_nothing_is_taught_where_nobody_was_seen_for_the_whole_horizon():
    rows = rows_of({"a": 6}, "2024-01-22")
    label, share = rows.discrete_time("10d").teaches()
    assert label.tolist() == [1, 0, 0, 0]
    assert share.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_without_open_windows_the_rows_are_as_they_were():
    rows = rows_of({"a": 6}, "2024-03-01")
    used, label, share, mature = with_open_windows(rows)
    assert used.frame.equals(rows.frame)
    assert label.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert share.all()
    assert mature.all()


def test_own_rows_without_a_label_are_left_out():
    own = Observations.from_frame(
        [{"member_id": "a", "cutoff": "2024-01-01", "label": 1}, {"member_id": "b", "cutoff": "2024-01-01"}]
    )
    used, label, _, _ = with_open_windows(own)
    assert len(used) == 1
    assert label.tolist() == [1.0]


CATALOGUE = Catalogue(
    [Behaviour("reads", (Count("view", window="30d"), Count(None, window="all")), reason="r")]
)


@pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")
def test_a_qualifier_learns_from_open_windows_and_judges_by_whole_ones(community):
    rows = observe(community, every="30d", horizon="180d", censored=True)
    whole = rows.labelled()
    with_open = LeadQualifier(CATALOGUE, decision=Capacity(share=0.1)).fit(community, rows)
    without = LeadQualifier(CATALOGUE, decision=Capacity(share=0.1)).fit(community, whole)
    assert len(with_open.training_[0]) > len(whole)
    assert with_open.scorer_.info["metrics"]["open_windows"] > 0
    assert with_open.decision_report_.rows == without.decision_report_.rows == len(whole)
    assert with_open.trained_until_us_ == rows.windows.seen_until_us
    assert without.trained_until_us_ == int(whole.cutoff_us.max()) + rows.windows.reach_us
