"""Activity to features: the one function that batch and online share.

The work is done by the native kernel (`leadlight.kernels.native`), or by the NumPy reference
(`leadlight.kernels.sweep_reference`) where the extension was not built, where `LEADLIGHT_KERNELS=reference` asks for it, and
for plans and logs beyond the kernel's bounds. The results are equal bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels import sweep_reference
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.native import native_kernels, native_sweep
from leadlight.kernels.program import Unsupported
from leadlight.kernels.start import Start
from leadlight.plan import Plan

Codes = NDArray[np.int64]


def sweep(
    plan: Plan,
    log: EncodedLog,
    entity: Codes,
    cutoff: Codes,
    *,
    account_of: Codes | None = None,
    joined: Codes | None = None,
    out: NDArray[np.float32] | None = None,
    threads: int = 1,
    start: Start | None = None,
) -> NDArray[np.float32]:
    """Compute the plan's columns for each observation.

    What the plan and the log need is prepared at their first use and remembered for as long as they live; neither may be
    changed in place afterwards.

    Parameters
    ----------
    plan : Plan
    log : EncodedLog
    entity : int64 array of shape (rows,)
        Member code of each observation, as in `log.actor`; not negative.
    cutoff : int64 array of shape (rows,)
        UTC microseconds; a row at the cutoff is out, one exactly a window before it is in.
    account_of : int64 array, optional
        Account code of every member code, -1 for none (and for employees, who are nobody's peers).
    joined : int64 array of shape (rows,), optional
        When the member of the observation joined; the smallest int64 means unknown.
    out : float32 array of shape (rows, columns), optional
        Written in place and returned.
    threads : int
        Members are split over so many threads. The reference uses one.
    start : Start, optional
        What the member's rows amount to that the log no longer holds: see `leadlight.kernels.start.fold`. All observations
        are then of one member, every row of the member in the log happened after the folded ones, and each cutoff is so
        late that no finite window reaches back to them.

    Returns
    -------
    float32 array of shape (rows, columns)
        In the order of the observations; NaN is missing.

    Raises
    ------
    ValueError
        Lengths or types of arrays do not fit, or codes are out of range.
    InputError
        The environment variable LEADLIGHT_KERNELS names no kernel.
    """
    entity, cutoff = _whole(entity, "entity"), _whole(cutoff, "cutoff")
    shape = (len(entity), len(plan.columns))
    _same_length(cutoff, entity, "cutoff")
    if joined is not None:
        joined = _whole(joined, "joined")
        _same_length(joined, entity, "joined")
    if account_of is not None:
        account_of = _whole(account_of, "account_of")
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1.")
    if start is not None:
        _of_one_member(plan, entity, start)
    if out is None:
        out = np.empty(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32:
        raise ValueError(
            f"out is {out.dtype} of shape {out.shape}; the sweep writes float32 of shape {shape}."
        )
    native = native_kernels()
    if native is not None:
        try:
            # Rows of a view that are apart in memory are written by way of a copy.
            rows = out if out.flags.c_contiguous and out.dtype.isnative else np.empty(shape, np.float32)
            native_sweep(native, plan, log, entity, cutoff, account_of, joined, rows, threads, start)
        except Unsupported:
            pass
        else:
            if rows is not out:
                out[...] = rows
            return out
    return sweep_reference.sweep(
        plan, log, entity, cutoff, account_of=account_of, joined=joined, out=out, start=start
    )


def _whole(values: Any, name: str) -> Codes:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(
            f"{name} is {array.dtype} with {array.ndim} dimensions; give one dimension of whole numbers."
        )
    return np.ascontiguousarray(array, np.int64)


def _of_one_member(plan: Plan, entity: Codes, start: Start) -> None:
    if len(start.count) != len(plan.keys):
        raise ValueError(f"start holds {len(start.count)} keys; the plan has {len(plan.keys)}.")
    if len(entity) > 1 and (entity != entity[0]).any():
        raise ValueError("With a start, all observations are of one member.")


def _same_length(values: Codes, entity: Codes, name: str) -> None:
    if len(values) != len(entity):
        raise ValueError(f"{name} has {len(values)} values for {len(entity)} observations.")
