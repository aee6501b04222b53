from typing import Any

# Programs, logs, indexes, jobs and scratch memory are capsules: only the functions below can look inside.

def new_program(parts: tuple[Any, ...], have: int, /) -> object: ...
def new_log(arrays: tuple[Any, ...], entries: tuple[int, ...], /) -> object: ...
def log_facts(log: object, /) -> tuple[int, int, int]: ...
def new_index(log: object, received: bool, /) -> object: ...
def new_job(
    program: object,
    log: object,
    index: object,
    entity: Any,
    cutoff: Any,
    joined: Any,
    account_of: Any,
    xlog: Any,
    out: Any,
    before: Any,
    /,
) -> object: ...
def sweep_at_once(
    program: object,
    arrays: tuple[Any, ...],
    entries: tuple[int, ...],
    received: bool,
    entity: Any,
    cutoff: Any,
    joined: Any,
    account_of: Any,
    xlog: Any,
    out: Any,
    before: Any,
    /,
) -> int: ...
def accounts(job: object, part: int, parts: int, /) -> None: ...
def new_scratch() -> object: ...
def step(job: object, scratch: object, /) -> bool: ...
def table_wanted(job: object, /) -> int: ...
def new_forest(parts: tuple[Any, ...], by_variant: tuple[int, int, int, int], features: int, /) -> object: ...
def forest_margin(forest: object, X: Any, out: Any, /) -> None: ...
def new_explainer(
    forest: object,
    used: Any,
    slot_column: Any,
    internal_count: Any,
    leaf_count: Any,
    at: Any,
    mass: Any,
    expected: Any,
    /,
) -> object | None: ...
def forest_shap(explainer: object, X: Any, out: Any, /) -> None: ...
