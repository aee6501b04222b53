"""The native sweep against its reference: equal bit for bit, whatever the plan and the log."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import leadlight.kernels.native as native_module
import leadlight.kernels.sweep as sweep_module
from leadlight.errors import InputError
from leadlight.kernels import sweep_reference
from leadlight.kernels.columns import x_log2_x
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.native import VARIABLE, KernelWarning, extension
from leadlight.kernels.program import Remembered, compiled_plan, plan_dictionaries
from leadlight.kernels.sweep import sweep
from leadlight.moments import ALL, DAY_US
from leadlight.plan import ATTRIBUTES, OPERATIONS, SIDES, Column, Key, Plan

built = pytest.mark.skipif(extension() is None, reason="the extension was not built")

HOUR = DAY_US // 24
NEVER = np.iinfo(np.int64).min
ENTRIES = {
    "action": ("view", "question", "connect"),
    "tag": ("visa", "tax", "ünï;'\"", "rent"),
    "group": ("beta", "gamma"),
    "role": ("buyer", "user"),
    "job_function": ("it", "hr"),
    "field": ("photo", "title"),
}
WINDOWS = (ALL, 1, HOUR, 7 * HOUR + 1, 12 * HOUR, DAY_US, 2 * DAY_US, 4 * DAY_US, 30 * DAY_US, 10**17)
THOROUGH = settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def keys(draw, side=None):
    attribute = draw(st.sampled_from((None, None, *ATTRIBUTES)))
    value = None
    if attribute == "same_domain":
        value = "yes"
    elif attribute is not None:
        value = draw(st.sampled_from((*ENTRIES[attribute], "never seen")))
    return Key(
        draw(st.sampled_from((None, *ENTRIES["action"], "never done"))),
        side or draw(st.sampled_from(SIDES)),
        attribute,
        value,
    )


@st.composite
def plans(draw):
    """Any plan that `Plan.check` lets pass, but surprises over all time, which divide by nothing."""
    known = draw(st.lists(keys(), min_size=1, max_size=8))
    given_keys = [i for i, key in enumerate(known) if key.side == "given"]
    columns = []
    for j, operation in enumerate(draw(st.permutations(OPERATIONS))):
        some = given_keys if operation == "completeness" else range(len(known))
        least = 1 if operation in ("recency", "sum_duration", "surprise") else 0
        chosen = draw(st.lists(st.sampled_from(list(some)), min_size=least, max_size=6)) if some else []
        windows = draw(st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=2))
        if operation == "surprise":
            windows = [window or DAY_US for window in windows]
        split = draw(st.integers(0, len(chosen)))
        columns.append(Column(f"c{j}", operation, tuple(chosen), tuple(windows), split))
    gap = draw(st.sampled_from((0, 1000, HOUR, 12 * HOUR)))
    plan = Plan(tuple(known), tuple(columns), (), session_gap_us=gap)
    plan.check()
    return plan


@st.composite
def cases(draw):
    """A log, observations, accounts and joining times, from a seed: thousands of rows cost nothing to draw."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, members = draw(st.sampled_from((250, 60, 12, 2, 0))), draw(st.sampled_from((9, 3, 1)))
    # Rows meet each other, the ends of windows, of visits and of what was known late, on a coarse grid.
    grid = draw(st.sampled_from((HOUR, 12 * HOUR, 1000, 1)))
    time = random.integers(-2 * DAY_US, 9 * DAY_US, n) // grid * grid
    if draw(st.booleans()):
        time = np.sort(time)

    def codes(name):
        return random.integers(-1, len(ENTRIES[name]), n).astype(np.int32)

    def maybe(values):
        return values if draw(st.integers(0, 5)) else None

    tags = [
        random.permutation(len(ENTRIES["tag"]))[:k] for k in random.integers(0, len(ENTRIES["tag"]) + 1, n)
    ]
    late = np.where(random.random(n) < 0.2, random.integers(0, 4 * DAY_US, n) // grid * grid, 0)
    longest = draw(st.sampled_from((1, 4000, 10**9, 2**62)))
    log = EncodedLog(
        actor=random.integers(-1, members, n),
        time=time,
        action=random.integers(0, len(ENTRIES["action"]), n).astype(
            draw(st.sampled_from((np.int32, np.int64, np.uint8)))
        ),
        visible_from=time + late if draw(st.booleans()) else None,
        other=maybe(random.integers(-1, members, n)),
        group=maybe(codes("group")),
        role=maybe(codes("role")),
        job_function=maybe(codes("job_function")),
        field_code=maybe(codes("field")),
        filled=maybe(random.random(n) < 0.5),
        same_domain=maybe(random.random(n) < 0.5),
        duration_ms=maybe(random.integers(0, longest, n, endpoint=True)),
        tag_offsets=np.concatenate([[0], np.cumsum([len(one) for one in tags], dtype=np.int64)]),
        tag_codes=maybe(np.concatenate([*tags, np.empty(0, np.int64)]).astype(np.int32)),
        dictionaries=ENTRIES,
    )
    asked = draw(st.sampled_from((40, 5, 1, 0)))
    # Members beyond the log have no rows.
    entity = random.integers(0, members + 2, asked)
    cutoff = random.integers(-3 * DAY_US, 12 * DAY_US, asked) // grid * grid
    account_of = random.integers(-1, 3, members + 2) if draw(st.booleans()) else None
    joined = np.where(random.random(asked) < 0.3, NEVER, cutoff + random.integers(-5, 5, asked) * DAY_US)
    return log, entity, cutoff, {"account_of": account_of, "joined": maybe(joined)}


def expect_equal(found, expected):
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def quiet_reference(*arguments, **named):
    with np.errstate(all="ignore"):
        expected = sweep_reference.sweep(*arguments, **named)
    expected[np.isnan(expected)] = np.nan
    return expected


def native(*arguments, **named):
    """The native kernel: where it hands over to the reference, the test has asked for something else than it meant."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "native")
        patch.setattr(sweep_module.sweep_reference, "sweep", refuse)
        found = sweep(*arguments, **named)
    return np.where(np.isnan(found), np.float32(np.nan), found)


def refuse(*_, **__):
    raise AssertionError("the reference was asked")


@built
@THOROUGH
@given(plans(), cases())
def test_the_native_sweep_equals_its_reference(plan, case):
    log, entity, cutoff, facts = case
    expect_equal(
        native(plan, log, entity, cutoff, **facts), quiet_reference(plan, log, entity, cutoff, **facts)
    )


@built
@settings(THOROUGH, max_examples=100)
@given(plans(), cases())
def test_a_log_that_is_remembered_gives_what_one_that_is_not_gives(plan, case):
    log, entity, cutoff, facts = case
    found = native(plan, log, entity, cutoff, **facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_module, "SMALL", -1)
        expect_equal(native(plan, log, entity, cutoff, **facts), found)


def wide_case(n=20_000, members=300):
    random = np.random.default_rng(7)
    time = np.sort(random.integers(0, 300 * DAY_US, n))
    offsets = np.concatenate([[0], np.cumsum(random.integers(0, 30, n))])
    log = EncodedLog(
        actor=random.integers(0, members, n),
        time=time,
        action=random.integers(0, 3, n).astype(np.int32),
        other=random.integers(-1, members, n),
        duration_ms=random.integers(0, 10**6, n),
        tag_offsets=offsets,
        tag_codes=((np.arange(offsets[-1]) * 7) % 31).astype(np.int32),
        dictionaries={"action": ENTRIES["action"], "tag": tuple(f"t{i}" for i in range(31))},
    )
    tags = tuple(Key(None, "given", "tag", f"t{i}") for i in range(31))
    plan = Plan(
        (*tags, Key("view"), Key("view", "received")),
        (
            *(Column(f"t{w}", "entropy", tuple(range(31)), (w * DAY_US,)) for w in range(20)),
            Column("view", "count", (31,), (30 * DAY_US,)),
            Column("received", "trend", (32,), (30 * DAY_US,)),
            Column("peers", "peers", (31,), (30 * DAY_US,)),
            Column("visits", "visits", (), (ALL,)),
        ),
        (),
    )
    entity = np.repeat(np.arange(members), 4)
    cutoff = np.tile(np.array([100, 250, 60, 300]) * DAY_US, members)
    return plan, log, entity, cutoff, {"account_of": random.integers(-1, 40, members)}


@built
def test_many_windows_tags_and_rows_equal_the_reference_with_one_thread_and_with_four(monkeypatch):
    plan, log, entity, cutoff, facts = wide_case()
    expected = quiet_reference(plan, log, entity, cutoff, **facts)
    expect_equal(native(plan, log, entity, cutoff, **facts), expected)
    expect_equal(native(plan, log, entity, cutoff, threads=4, **facts), expected)


@built
def test_a_member_with_more_rows_than_a_part_holds_equals_the_reference_among_others():
    plan, log, entity, cutoff, facts = wide_case(40_000, 60)
    random = np.random.default_rng(3)
    # Half of the rows are of one member, not in order, and some were known late.
    actor = np.where(random.random(len(log)) < 0.5, 30, log.actor)
    time = random.permutation(log.time)
    visible = time + np.where(random.random(len(log)) < 0.01, 5 * DAY_US, 0)
    log = dataclasses.replace(log, actor=actor, time=time, visible_from=visible)
    expect_equal(
        native(plan, log, entity, cutoff, **facts), quiet_reference(plan, log, entity, cutoff, **facts)
    )


@built
def test_the_last_row_of_a_part_leaves_the_first_of_the_next_as_it_was():
    time = np.arange(60_000)
    log = EncodedLog(actor=time % 3, time=time, action=np.zeros(len(time), np.int32), dictionaries=ENTRIES)
    plan = Plan((Key("view"),), (Column("view", "count", (0,), (30_000,)),), ())
    entity, cutoff = np.repeat(np.arange(3), 2), np.tile([3, 60_000], 3)
    assert native(plan, log, entity, cutoff)[:, 0].tolist() == [1, 10_000] * 3


@built
@pytest.mark.parametrize("sums", [1, 4, 5])
def test_sums_of_few_keys_and_of_many_equal_the_reference(sums):
    _, log, entity, cutoff, _ = wide_case(3_000, 7)
    known = (
        Key("view"),
        Key("question"),
        Key(None),
        Key("view", "received"),
        Key(None, "given", "tag", "t3"),
    )
    windows = (DAY_US, 90 * DAY_US, ALL)
    columns = (Column(f"{k} {w}", "sum_duration", (k,), (w,)) for k in range(sums) for w in windows)
    plan = Plan(known, tuple(columns), ())
    expect_equal(native(plan, log, entity, cutoff), quiet_reference(plan, log, entity, cutoff))


@built
def test_a_column_of_keys_from_both_sides_is_counted_again_whichever_side_changed():
    plan = Plan(
        (Key("view"), Key("view", "received")),
        (
            Column("both", "count", (0, 1), (ALL,)),
            Column("distinct", "distinct", (0, 1), (ALL,)),
            Column("trend", "trend", (0, 1), (DAY_US,)),
        ),
        (),
    )
    log = EncodedLog(
        actor=np.array([0, 1, 0]),
        time=np.array([1, 3, 5]) * HOUR,
        action=np.zeros(3, np.int32),
        other=np.array([-1, 0, -1]),
        dictionaries=ENTRIES,
    )
    cutoff = np.array([0, 2, 4, 6, 8, 30, 60]) * HOUR
    entity = np.zeros(len(cutoff), np.int64)
    found = native(plan, log, entity, cutoff)
    assert found[:, 0].tolist() == [0, 1, 2, 3, 3, 3, 3]
    expect_equal(found, quiet_reference(plan, log, entity, cutoff))


@built
@pytest.mark.parametrize("odd", [0, 1])
def test_a_result_larger_than_the_caches_holds_what_its_parts_hold(odd):
    plan, log, entity, cutoff, _ = wide_case(5_000, 50)
    plan = dataclasses.replace(
        plan, columns=plan.columns[odd:]
    )  # rows that begin where 16 bytes begin, or not
    times = (1 << 24) // len(plan.columns) // len(entity) + 1
    found = native(plan, log, np.tile(entity, times), np.tile(cutoff, times))
    assert found.size >= 1 << 24
    part = native(plan, log, entity, cutoff).view(np.uint32)
    assert (found.view(np.uint32).reshape(times, *part.shape) == part).all()


@built
def test_accounts_that_are_asked_for_at_as_many_other_cutoffs_are_counted_at_their_own():
    plan, log, *_ = wide_case(2_000, 6)
    entity, account_of = np.repeat(np.arange(6), 2), np.array([0, 0, 1, 1, 2, 2])
    cutoff = np.array([100, 200, 100, 200, 150, 250, 150, 250, 100, 200, 100, 200]) * DAY_US
    expected = quiet_reference(plan, log, entity, cutoff, account_of=account_of)
    expect_equal(native(plan, log, entity, cutoff, account_of=account_of), expected)


@built
def test_a_program_for_other_columns_than_the_call_gives_is_refused():
    plan, log, entity, cutoff, facts = wide_case(50, 3)
    entries = native_module._dictionaries(log)
    program = native_module._program(extension(), compiled_plan(plan), entries, 0)
    opened = native_module._OpenLog(log)
    out = np.empty((len(entity), len(plan.columns)), np.float32)
    rest = (entity, cutoff, None, facts["account_of"], np.zeros(64, np.int64), out, None)
    with pytest.raises(ValueError, match="other columns"):
        extension().new_job(program, opened.capsule, opened.index(True), *rest)


def of_one_member(actions, times, **columns):
    return EncodedLog(
        actor=np.zeros(len(times), np.int64),
        time=np.array(times, np.int64),
        action=np.array([ENTRIES["action"].index(action) for action in actions], np.int32),
        dictionaries=ENTRIES,
        **columns,
    )


@built
@pytest.mark.parametrize("filled", [[True, False], [False, True]], ids=str)
def test_of_two_updates_at_one_moment_the_filled_one_counts_as_newer(filled):
    field = np.zeros(2, np.int32)
    log = of_one_member(["view"] * 2, [5, 5], field_code=field, filled=np.array(filled))
    plan = Plan((Key(None, "given", "field", "photo"),), (Column("c", "completeness", (0,)),), ())
    assert native(plan, log, np.array([0]), np.array([6])).tolist() == [[1.0]]


@built
def test_a_tag_that_a_row_repeats_counts_once():
    tags = {"tag_offsets": np.array([0, 4]), "tag_codes": np.array([1, 0, 1, 1], np.int32)}
    log = of_one_member(["view"], [5], **tags)
    plan = Plan((Key(None, "given", "tag", ENTRIES["tag"][1]),), (Column("c", "count", (0,), (ALL,)),), ())
    assert native(plan, log, np.array([0]), np.array([6])).tolist() == [[1.0]]


@built
@pytest.mark.parametrize(("time", "counted"), [(99, 0.0), (100, 1.0), (199, 1.0), (200, 0.0)])
def test_what_a_colleague_did_counts_from_one_window_before_the_cutoff_to_before_it(time, counted):
    log = of_one_member(["view"], [time])
    plan = Plan((Key("view"),), (Column("c", "peers", (0,), (100,)),), ())
    found = native(plan, log, np.array([1, 0]), np.array([200, 200]), account_of=np.array([0, 0]))
    assert found.tolist() == [[counted], [0.0]]


@built
def test_an_entropy_over_more_rows_than_the_first_table_holds_is_exact():
    n = 9000
    log = EncodedLog(
        actor=np.zeros(n, np.int64),
        time=np.arange(n, dtype=np.int64),
        action=np.arange(n, dtype=np.int32) % 3,
        dictionaries={"action": ENTRIES["action"]},
    )
    plan = Plan(tuple(map(Key, ENTRIES["action"])), (Column("e", "entropy", (0, 1, 2), (ALL,)),), ())
    one, at = np.zeros(1, np.int64), np.array([n])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_module, "_table", [])
        expect_equal(native(plan, log, one, at), quiet_reference(plan, log, one, at))


@built
def test_rows_of_a_view_that_lie_apart_are_written(tmp_path):
    plan, log, entity, cutoff, facts = wide_case(500, 10)
    expected = quiet_reference(plan, log, entity, cutoff, **facts)
    shape = (len(entity), len(plan.columns))
    apart = np.zeros((2 * shape[0], shape[1]), np.float32)
    mapped = np.memmap(tmp_path / "rows", np.float32, "w+", shape=shape)
    for out in (apart[::2], np.zeros(shape[::-1], np.float32).T, mapped):
        assert sweep(plan, log, entity, cutoff, out=out, **facts) is out
        np.testing.assert_array_equal(out, expected)
    assert not apart[1::2].any()


SMALL = wide_case(200, 5)


def label(wrong):
    return "-".join(
        f"{name}-{np.asarray(value).dtype}{np.shape(value)}-{np.max(value)}" for name, value in wrong.items()
    )


@pytest.mark.parametrize("kernel", ["native", "reference"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"cutoff": SMALL[3][:-1]},
        {"joined": np.zeros(3, np.int64)},
        {"entity": SMALL[2] * 1.0},
        {"entity": SMALL[2][:, None]},
        {"out": np.zeros((3, 3), np.float32)},
        {"out": np.zeros((len(SMALL[2]), len(SMALL[0].columns)))},
        {"threads": 0},
    ],
    ids=label,
)
def test_observations_that_do_not_fit_are_an_error(monkeypatch, kernel, wrong):
    if kernel == "native" and extension() is None:
        pytest.skip("the extension was not built")
    monkeypatch.setenv(VARIABLE, kernel)
    plan, log, entity, cutoff, facts = SMALL
    with pytest.raises(ValueError, match="|".join(wrong)):
        sweep(plan, log, **{"entity": entity, "cutoff": cutoff, **facts, **wrong})


@built
@pytest.mark.parametrize(
    "wrong",
    [
        {"action": np.full(200, 3, np.int32)},
        {"action": np.full(200, -2, np.int32)},
        {"action": np.full(200, 2**32, np.int64)},
        {"action": np.zeros(199, np.int32)},
        {"actor": np.zeros(201, np.int64)},
        {"actor": np.zeros(200)},
        {"tag_codes": np.full(SMALL[1].tag_codes.shape, 31, np.int32)},
        {"tag_offsets": SMALL[1].tag_offsets + 1},
        {"tag_offsets": SMALL[1].tag_offsets[::-1].copy()},
        {"tag_offsets": SMALL[1].tag_offsets[:-1]},
        {"group": np.zeros(200, np.int32)},
        {"duration_ms": np.zeros(7, np.int64)},
        {"filled": np.zeros(7, bool)},
    ],
    ids=label,
)
def test_a_log_that_is_not_sound_is_an_error(wrong):
    plan, log, entity, cutoff, facts = SMALL
    with pytest.raises(ValueError, match="|".join(wrong)):
        native(plan, dataclasses.replace(log, **wrong), entity, cutoff, **facts)


@built
@pytest.mark.parametrize("entity", [-1, 5])
def test_a_member_out_of_range_is_an_error(entity):
    plan, log, _, cutoff, facts = SMALL
    with pytest.raises(ValueError, match="account_of"):
        native(plan, log, np.array([entity]), cutoff[:1], **facts)


@built
def test_actors_beyond_the_accounts_are_an_error():
    plan, log, entity, cutoff, facts = SMALL
    with pytest.raises(ValueError, match="account_of"):
        native(plan, log, entity[:1], cutoff[:1], account_of=facts["account_of"][:2])


def beyond_windows(plan, log):
    columns = tuple(Column(f"c{w}", "count", (0,), (w * HOUR,)) for w in range(40))
    return dataclasses.replace(plan, columns=columns), log


def beyond_time(plan, log):
    time = log.time.copy()
    time[0] = NEVER
    return plan, dataclasses.replace(log, time=time)


def beyond_codes(plan, log):
    return plan, dataclasses.replace(log, actor=np.where(log.actor == 4, 2**27, log.actor))


def beyond_completeness(plan, log):
    keys = (Key("view", "received"), Key("view"))
    column = Column("c", "completeness", (1, 0), ())
    return dataclasses.replace(plan, keys=keys, columns=(column,)), log


@built
@pytest.mark.parametrize("beyond", [beyond_windows, beyond_time, beyond_codes, beyond_completeness])
def test_what_the_tables_cannot_hold_is_done_by_the_reference(monkeypatch, beyond):
    monkeypatch.delenv(VARIABLE, raising=False)
    plan, log, entity, cutoff, _ = SMALL
    plan, log = beyond(plan, log)
    with pytest.raises(AssertionError, match="was asked"):
        native(plan, log, entity, cutoff)
    np.testing.assert_array_equal(
        sweep(plan, log, entity, cutoff), quiet_reference(plan, log, entity, cutoff)
    )


@built
def test_a_cutoff_at_the_end_of_time_is_done_by_the_reference():
    plan, log, _, _, _ = SMALL
    with pytest.raises(AssertionError, match="was asked"):
        native(plan, log, np.array([0]), np.array([2**63 - 1]))


def test_without_the_extension_the_reference_works_and_says_so_once(monkeypatch):
    missing = native_module._Extension()
    missing._looked = True
    monkeypatch.setattr(native_module, "extension", missing)
    monkeypatch.delenv(VARIABLE, raising=False)
    plan, log, entity, cutoff, facts = SMALL
    with pytest.warns(KernelWarning, match="C compiler") as told:
        found = sweep(plan, log, entity, cutoff, **facts)
    sweep(plan, log, entity, cutoff, **facts)  # a second warning would be an error
    assert [one.filename for one in told] == [__file__]
    np.testing.assert_array_equal(found, quiet_reference(plan, log, entity, cutoff, **facts))


def test_asking_for_what_was_not_built_is_an_error(monkeypatch):
    missing = native_module._Extension()
    missing._looked = True
    monkeypatch.setattr(native_module, "extension", missing)
    monkeypatch.setenv(VARIABLE, "native")
    with pytest.raises(InputError, match="not built"):
        sweep(*SMALL[:4])


def test_the_variable_forces_the_reference_without_a_word(monkeypatch):
    monkeypatch.setenv(VARIABLE, "reference")
    monkeypatch.setattr(native_module, "extension", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(*SMALL[:4])


def test_an_unknown_kernel_is_an_error_that_names_the_choices(monkeypatch):
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(InputError, match=r"'fast'; set it to one of native, reference"):
        sweep(*SMALL[:4])


def test_importing_warns_of_nothing_and_loads_no_extension():
    program = "import sys, leadlight.kernels.sweep; assert 'leadlight.kernels._native' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@built
def test_the_program_is_made_once_for_a_plan_and_equal_dictionaries(monkeypatch):
    plan, log, entity, cutoff, _ = wide_case(50, 3)
    native(plan, log, entity, cutoff)
    monkeypatch.setattr(native_module, "value_tables", refuse)
    native(plan, dataclasses.replace(log, time=log.time + 1), entity, cutoff)


@built
def test_a_plan_keeps_few_programs():
    plan, log, entity, cutoff, _ = wide_case(50, 3)
    for i in range(3 * native_module.PROGRAMS):
        dictionaries = {**log.dictionaries, "group": (f"g{i}",)}
        native(plan, dataclasses.replace(log, dictionaries=dictionaries), entity, cutoff)
    assert len(compiled_plan(plan).made) == native_module.PROGRAMS


def test_dictionaries_of_the_plan_give_the_same_features():
    plan, log, entity, cutoff, _ = wide_case(300, 5)
    plan = dataclasses.replace(
        plan, keys=(*plan.keys[3:], *plan.keys[:3])
    )  # no longer in the order of the log
    entries = plan_dictionaries(plan)
    coded = {}
    for name, values in (("action", log.action), ("tag", log.tag_codes)):
        lookup = [entries[name].index(e) if e in entries[name] else -1 for e in log.dictionaries[name]]
        coded[name] = np.array(lookup, np.int32)[values]
    other = dataclasses.replace(log, action=coded["action"], tag_codes=coded["tag"], dictionaries=entries)
    assert (other.action == -1).any()
    np.testing.assert_array_equal(sweep(plan, other, entity, cutoff), sweep(plan, log, entity, cutoff))


class Owner:
    pass


def test_what_is_remembered_goes_with_its_owner():
    remembered = Remembered(lambda owner: object())
    one = Owner()
    assert remembered(one) is remembered(one)
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
    assert not remembered._values


@built
def test_a_log_is_let_go_after_its_sweep():
    plan, log, entity, cutoff, _ = wide_case(native_module.SMALL + 1, 3)
    native(plan, log, entity, cutoff)
    number = id(log)
    assert number in native_module._open_log._values
    del log
    gc.collect()
    assert number not in native_module._open_log._values


@built
def test_a_small_log_is_not_remembered():
    plan, log, entity, cutoff, _ = wide_case(50, 3)
    native(plan, log, entity, cutoff)
    assert id(log) not in native_module._open_log._values


def test_the_table_of_the_kernel_is_the_function_of_the_reference():
    np.testing.assert_array_equal(native_module._x_log2_x_table(5000)[:5000], x_log2_x(np.arange(5000)))
