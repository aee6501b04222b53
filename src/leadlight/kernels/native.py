"""The native sweep, where the extension was built: choice of the kernel, prepared logs, chunks over threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError, LeadlightWarning, warn
from leadlight.kernels.columns import x_log2_x
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.program import (
    DICTIONARIES,
    NEEDS_ACCOUNT,
    NEEDS_DURATION,
    NEEDS_FILLED,
    NEEDS_JOINED,
    NEEDS_OTHER,
    NUMBER,
    Compiled,
    Remembered,
    Unsupported,
    compiled_plan,
    value_tables,
)
from leadlight.kernels.start import NEVER, Start
from leadlight.plan import Plan

VARIABLE: Final = "LEADLIGHT_KERNELS"
CHOICES: Final = ("native", "reference")
PROGRAMS: Final = 16
"""Programs kept for a plan: one for each set of dictionaries and of columns that came last."""

MOST_TABLE: Final = 1 << 27
SMALL: Final = 4096
"""Rows of a log that is prepared in less time than it takes to remember what was prepared."""

Codes = NDArray[np.int64]


class KernelWarning(LeadlightWarning):
    """The native kernels were not built: results are equal, and take longer."""


class _Extension:
    """The extension module, imported at first use; None where it was not built."""

    def __init__(self) -> None:
        self._found: Any = None
        self._looked = False
        self._told = False

    def __call__(self) -> Any:
        if not self._looked:
            with suppress(ImportError):
                from leadlight.kernels import _native

                self._found = _native
            self._looked = True
        return self._found

    def tell(self) -> None:
        """Say once that the reference works instead."""
        if not self._told:
            self._told = True
            warn(
                "The native kernels of leadlight were not built, so the NumPy reference does their work: the same numbers, "
                "many times slower. Install a C compiler and Python's headers and reinstall leadlight, or set "
                f"{VARIABLE}=reference to accept this.",
                KernelWarning,
            )


extension: Final = _Extension()


def native_kernels() -> Any:
    """Return the extension module, or None where the reference has to do the work.

    Raises
    ------
    InputError
        The environment variable LEADLIGHT_KERNELS is neither empty, "native" nor "reference"; or it is "native" and the
        extension was not built.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked == "reference":
        return None
    if asked not in ("", *CHOICES):
        raise InputError(
            f"{VARIABLE} is {asked!r}; set it to one of {', '.join(CHOICES)}, or leave it unset."
        )
    found = extension()
    if found is None:
        if asked == "native":
            raise InputError(
                f"{VARIABLE} is 'native', but the extension was not built. Install a C compiler and Python's headers and "
                "reinstall leadlight, or unset the variable."
            )
        extension.tell()
    return found


class _OpenLog:
    """A log as the extension holds it, with an index of its rows for each of the two ways to read it."""

    def __init__(self, log: EncodedLog) -> None:
        native = extension()
        self.capsule = native.new_log(_arrays(log), tuple(map(len, _dictionaries(log))))
        rows, largest, earliest = native.log_facts(self.capsule)
        self.rows, self.largest = rows, largest
        self.refused = ""
        if largest // 16 > rows + (1 << 20):
            self.refused = "codes of members are too sparse"
        if rows and earliest == np.iinfo(np.int64).min:
            self.refused = "a time is the smallest integer"
        self._index: dict[bool, Any] = {}

    def index(self, received: bool) -> Any:
        found = self._index.get(received)
        if found is None:
            found = self._index[received] = extension().new_index(self.capsule, received)
        return found


def _dictionaries(log: EncodedLog) -> tuple[tuple[str, ...], ...]:
    try:
        found: tuple[tuple[str, ...], ...] = _all_dictionaries(log.dictionaries)
    except KeyError:
        found = tuple(log.dictionaries.get(name, ()) for name in DICTIONARIES)
    return found


_all_dictionaries: Final = itemgetter(*DICTIONARIES)


def _columns(log: EncodedLog) -> tuple[Any, ...]:
    """Return the arrays of a log as they are, in the order of `make_log` in csrc/sweep_log.c."""
    return (
        log.actor,
        log.time,
        log.action,
        log.visible_from,
        log.other,
        log.group,
        log.role,
        log.job_function,
        log.field_code,
        log.filled,
        log.same_domain,
        log.duration_ms,
        log.tag_offsets,
        log.tag_codes,
    )


def _arrays(log: EncodedLog) -> tuple[Any, ...]:
    wide, narrow = _wide, _narrow
    return (
        wide(log.actor, "actor"),
        wide(log.time, "time"),
        narrow(log.action, "action"),
        wide(log.visible_from, "visible_from"),
        wide(log.other, "other"),
        narrow(log.group, "group"),
        narrow(log.role, "role"),
        narrow(log.job_function, "job_function"),
        narrow(log.field_code, "field_code"),
        _flags(log.filled),
        _flags(log.same_domain),
        wide(log.duration_ms, "duration_ms"),
        wide(log.tag_offsets, "tag_offsets"),
        narrow(log.tag_codes, "tag_codes"),
    )


def _wide(values: Any, name: str) -> Any:
    if values is None or (values.dtype == np.int64 and values.flags.c_contiguous):
        return values
    return np.ascontiguousarray(_whole(values, name), np.int64)


def _narrow(values: Any, name: str) -> Any:
    if values is None or (values.dtype == np.int32 and values.flags.c_contiguous):
        return values
    whole = _whole(values, name)
    bounds = np.iinfo(np.int32)
    if whole.size and (int(whole.min()) < bounds.min or int(whole.max()) > bounds.max):
        raise ValueError(f"{name} holds codes that do not fit 32 bits.")
    return np.ascontiguousarray(whole, np.int32)


def _whole(values: Any, name: str) -> Any:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} holds {array.dtype} instead of whole numbers.")
    return array


def _flags(values: Any) -> Any:
    return None if values is None else np.ascontiguousarray(values, np.bool_)


_open_log: Final = Remembered(_OpenLog)


def _have(log: EncodedLog, account_of: Codes | None, joined: Codes | None) -> int:
    """Return what the log and the call give, as `have_of` in csrc/sweep_job.c finds it."""
    tags = log.tag_codes is not None and log.tag_offsets is not None
    return (
        tags << NUMBER["tag"]
        | (log.group is not None) << NUMBER["group"]
        | (log.role is not None) << NUMBER["role"]
        | (log.job_function is not None) << NUMBER["job_function"]
        | (log.field_code is not None) << NUMBER["field"]
        | (log.same_domain is not None) << NUMBER["same_domain"]
        | (log.other is not None) * NEEDS_OTHER
        | (log.duration_ms is not None) * NEEDS_DURATION
        | (log.filled is not None) * NEEDS_FILLED
        | (account_of is not None) * NEEDS_ACCOUNT
        | (joined is not None) * NEEDS_JOINED
    )


def _program(native: Any, compiled: Compiled, entries: tuple[tuple[str, ...], ...], have: int) -> Any:
    key = (have, *map(id, entries))
    found = compiled.made.get(key)
    if found is not None:
        return found[1]
    dictionaries = dict(zip(DICTIONARIES, entries, strict=True))
    program = native.new_program((*compiled.parts, *value_tables(compiled, dictionaries)), have)
    while len(compiled.made) >= PROGRAMS:
        compiled.made.pop(next(iter(compiled.made)), None)
    # The tuples are kept with the program: their ids name it only while they live.
    compiled.made[key] = (entries, program)
    return program


class _Table:
    """x log2 x for small whole numbers, from the same NumPy function as in the reference; grows by doubling."""

    def __init__(self) -> None:
        self._values = x_log2_x(np.arange(1 << 12))

    def __call__(self, least: int) -> Codes:
        values = self._values
        if least > len(values):
            if least > MOST_TABLE:
                raise Unsupported(f"an entropy over {least} entries")
            values = self._values = x_log2_x(np.arange(1 << (least - 1).bit_length()))
        return values


_NO_TABLE: Final = np.zeros(1, np.int64)
_table: Final[list[_Table]] = []


def native_sweep(
    native: Any,
    plan: Plan,
    log: EncodedLog,
    entity: Codes,
    cutoff: Codes,
    account_of: Codes | None,
    joined: Codes | None,
    out: NDArray[np.float32],
    threads: int,
    start: Start | None = None,
) -> None:
    """Sweep into `out`, a C-contiguous float32 array; arrays of observations are C-contiguous int64.

    Raises
    ------
    Unsupported
        Something is beyond the bounds of the kernel; the reference has to do it.
    ValueError
        The log is not sound: lengths differ, or a code is not in its dictionary.
    """
    compiled = compiled_plan(plan)
    entries, have = _dictionaries(log), _have(log, account_of, joined)
    try:
        program = _program(native, compiled, entries, have)
        before = None if start is None or not start.rows else _open_start(start)(compiled, start)
        rest = (entity, cutoff, joined, account_of)
        if len(log) <= SMALL:
            sizes, received = tuple(map(len, entries)), compiled.uses_received

            def run(table: Codes) -> int:
                try:
                    given = (program, _columns(log), sizes, received)
                    lacking: int = native.sweep_at_once(*given, *rest, table, out, before)
                except (TypeError, ValueError, BufferError):
                    # Other types are for Python to convert; a log that is not sound is not sound then either.
                    given = (program, _arrays(log), sizes, received)
                    lacking = native.sweep_at_once(*given, *rest, table, out, before)
                return lacking

        else:
            opened = _open_log(log)
            if opened.refused:
                raise Unsupported(opened.refused)
            index = opened.index(compiled.uses_received)

            def run(table: Codes) -> int:
                job = native.new_job(program, opened.capsule, index, *rest, table, out, before)
                _run(native, job, compiled.has_peers and account_of is not None, threads)
                lacking: int = native.table_wanted(job)
                return lacking

        least = 1
        while least:
            least = run(_x_log2_x_table(least) if compiled.has_entropy else _NO_TABLE)
    except OverflowError as error:
        raise Unsupported(str(error)) from error


class _OpenStart:
    """A start in cells of the state, as `hold_start` in csrc/sweep_job.c takes it; for the plan that came last."""

    def __init__(self, start: Start) -> None:
        self._made: tuple[Compiled, tuple[Any, ...]] | None = None

    def __call__(self, compiled: Compiled, start: Start) -> tuple[Any, ...]:
        made = self._made
        if made is None or made[0] is not compiled:
            made = self._made = (compiled, _start_arrays(compiled, start))
        return made[1]


_open_start: Final = Remembered(_OpenStart)


def _start_arrays(compiled: Compiled, start: Start) -> tuple[Any, ...]:
    if start.rows > np.iinfo(np.int32).max:
        raise Unsupported(f"a start from {start.rows} rows")
    # The cell of visits has key -1, and so takes what is appended.
    cells = compiled.cell_keys
    return (
        np.append(start.count, start.visits)[cells].astype(np.int32),
        np.append(start.last, NEVER)[cells],
        np.append(start.filled, False)[cells],
        np.append(start.duration_ms, 0)[compiled.sum_keys],
        (start.rows, *start.first, start.newest, start.newest_duration_ms, start.visit),
    )


def _x_log2_x_table(least: int) -> Codes:
    if not _table:
        _table.append(_Table())
    return _table[0](least)


def _run(native: Any, job: Any, peers: bool, threads: int) -> None:
    if threads == 1:
        if peers:
            native.accounts(job, 0, 1)
        _steps(native, job)
        return
    with ThreadPoolExecutor(threads) as pool:
        if peers:
            list(pool.map(lambda part: native.accounts(job, part, threads), range(threads)))
        list(pool.map(lambda _: _steps(native, job), range(threads)))


def _steps(native: Any, job: Any) -> None:
    """Sweep chunks until none is left; between two, signals get through."""
    scratch = native.new_scratch()
    while native.step(job, scratch):
        pass
