"""Features of a long log are built in parts, into an array of the caller's: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.community import Community, reading, spool
from leadlight.errors import InputError
from leadlight.features import batch, build_features
from leadlight.observations import Observations

DAYS = [f"2024-0{m}-{d:02}" for m in (1, 2, 3) for d in range(1, 28)]


@pytest.fixture(scope="module", name="asked")
def _asked():
    rng = np.random.default_rng(0)
    drawn = lambda values: values[int(rng.integers(len(values)))]  # noqa: E731
    people = [f"m{i}" for i in range(30)]
    log = [
        {
            "member_id": drawn(people),
            "other_member_id": drawn([*people, None]),
            "occurred_at": f"{drawn(DAYS)}T10:00:00",
            "known_at": drawn([None, None, "2024-03-15T00:00:00"]),
            "action": drawn(["view", "question", "answer", "invite", "join_group", "profile_update"]),
            "tags": drawn([None, "a", "a|b", "c|b"]),
            "group_id": drawn(["g", "h"]),
            "other_role": drawn(["r", None]),
            "duration_s": drawn([None, "10", "2.5"]),
            "field": drawn(["photo", "city"]),
            "value": drawn(["x", ""]),
        }
        for _ in range(600)
    ]
    members = [
        {
            "member_id": m,
            "account_id": f"k{i % 7}",
            "email_domain": f"d{i % 5}.example",
            "valid_from": "2024-02-10",
            "role": "employee" if i % 11 == 0 else None,
        }
        for i, m in enumerate(people)
    ] + [{"member_id": m, "account_id": "k0", "valid_from": None} for m in people[:9]]
    rows = [{"member_id": m, "cutoff": c} for c in ("2024-03-10", "2024-02-01", "2024-04-01") for m in people]
    return log, members, Observations.from_frame(rows)


def whole(asked):
    log, members, rows = asked
    community = Community(log, members=members)
    plan = CORPORATE_COMMUNITY.compile(community, "2024-03-01", min_members=1)
    return plan, build_features(community, rows, plan)


@pytest.mark.parametrize("shuffled", [False, True], ids=["ordered", "shuffled"])
@pytest.mark.parametrize("events", [1, 50, 400])
def test_parts_of_the_log_give_the_features_of_the_whole(asked, same, monkeypatch, events, shuffled):
    plan, expected = whole(asked)
    log, members, rows = asked
    order = np.random.default_rng(1).permutation(len(rows)) if shuffled else np.arange(len(rows))
    for module, name, value in (
        (reading, "BATCH_ROWS", 7),
        (spool, "SPILL_ROWS", 10),
        (spool, "BLOCK_ROWS", 64),
        (batch, "EVENTS_AT_ONCE", events),
        (batch, "NATIVE_EVENTS_AT_ONCE", events),
        (batch, "ROWS_AT_ONCE", 5),
    ):
        monkeypatch.setattr(module, name, value)
    community = Community([log[i] for i in np.random.default_rng(2).permutation(len(log))], members=members)
    found = build_features(community, Observations.from_frame(rows.frame.iloc[order]), plan)
    assert same(found.to_numpy(), expected.to_numpy()[order])


def test_a_part_holds_only_its_own_rows(asked, monkeypatch):
    plan, _ = whole(asked)
    log, members, rows = asked
    seen = []
    real = batch.sweep
    monkeypatch.setattr(batch, "sweep", lambda plan, log, *rest, **named: seen.append(len(log)) or real(plan, log, *rest, **named))  # fmt: skip
    monkeypatch.setattr(batch, "NATIVE_EVENTS_AT_ONCE", 50)
    monkeypatch.setattr(batch, "EVENTS_AT_ONCE", 50)
    build_features(Community(log, members=members), rows, plan)
    assert len(seen) > 5
    assert max(seen) < 500


def test_a_memory_map_is_filled_in_place_and_not_copied(asked, same, tmp_path, monkeypatch):
    plan, expected = whole(asked)
    log, members, rows = asked
    monkeypatch.setattr(batch, "NATIVE_EVENTS_AT_ONCE", 100)
    monkeypatch.setattr(batch, "EVENTS_AT_ONCE", 100)
    out = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, expected.shape)
    found = build_features(Community(log, members=members), rows, plan, out=out)
    assert np.shares_memory(found.to_numpy(), out)
    assert found.index.equals(expected.index)
    assert found.columns.equals(expected.columns)
    out.flush()
    assert same(np.load(tmp_path / "x.npy"), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (np.empty, "float64"),
        (lambda shape: np.empty((shape[0], 1), np.float32), "of shape"),
        (lambda shape: np.empty(shape, np.float32, "F"), "C order"),
        (lambda shape: [], "is a list"),
    ],
    ids=["doubles", "narrow", "columns", "list"],
)
def test_an_out_that_does_not_fit_is_an_error(asked, make, message):
    plan, expected = whole(asked)
    log, members, rows = asked
    with pytest.raises(InputError, match=message):
        build_features(Community(log, members=members), rows, plan, out=make(expected.shape))
