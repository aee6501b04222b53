"""What is computed on the log: the plan of 300 columns, the columns that every rival computes, and the observations."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from peers import community_log

import leadlight as ll
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.sweep import sweep
from leadlight.moments import DAY_US, window_us
from leadlight.plan import Plan

SEED = 7
THREADS = 2
WINDOWS = ("7d", "30d", "90d", "365d", "all")
TAG_WINDOWS = ("30d", "90d", "all")
TAGS = community_log.TAGS[:40]
ACTIONS = community_log.ACTIONS
MONTH_US = 30 * DAY_US
VISIT_GAP_US = 30 * 60 * 1_000_000
FINITE_US = tuple(window_us(w) for w in WINDOWS[:-1])
TAG_FINITE_US = tuple(window_us(w) for w in TAG_WINDOWS[:-1])

RECENT = ("30d", "90d", "all")

# In the order of columns: counts of all and of each action, recencies, visits, tags; windows vary fastest.
SHARED = (
    *(ll.Count(a, window=WINDOWS) for a in (None, *ACTIONS)),
    *(ll.Recency(a) for a in (None, *ACTIONS)),
    ll.Visits(window=WINDOWS),
    ll.Count(by="tag", window=TAG_WINDOWS, only=TAGS),
)
COUNTS, RECENCIES = (len(ACTIONS) + 1) * len(WINDOWS), len(ACTIONS) + 1
VISITS, TAG_COUNTS = len(WINDOWS), len(TAGS) * len(TAG_WINDOWS)
SHARED_COLUMNS = COUNTS + RECENCIES + VISITS + TAG_COUNTS

# What the catalogues measure besides. A list of its own: the catalogues change, and figures are compared over years.
MORE = (
    ll.Visits(measure="per_month"),
    ll.Visits(measure="last_visit"),
    ll.Distinct("tag", window=("30d", "90d")),
    ll.Entropy("tag", window=("90d", "all")),
    ll.Count("join_group", window="all", by="group"),
    ll.Count(("post", "question"), window=("90d", "all"), by="group"),
    ll.Count("connect", window=("30d", "all"), by="role"),
    ll.Count("connect", window="all", by="job_function"),
    ll.Count("invite", window=RECENT, same_domain=True),
    *(ll.Count(a, window=RECENT, side="received") for a in ("answer", "comment", "connect")),
    *(ll.Trend(a) for a in (None, "view", "post", "question", "search")),
    *(ll.Surprise(a) for a in (None, "view", "question")),
    *(ll.FirstTime(a) for a in ("question", "post", "answer", "connect", "download", "invite")),
    *(ll.Sum(a, window=("30d", "90d")) for a in (None, "view")),
    ll.Completeness(),
    ll.Tenure(),
    *(ll.Peers(ll.Count(a, window=("30d", "90d"))) for a in (None, "view", "question")),
    ll.Peers(ll.Count("post", window="90d")),
)


class _Vocabulary:
    """The entries of the generator, which are skewed: the first are the most frequent."""

    has_accounts = True

    def vocabulary(self, attribute, *, action, before, top, min_members):
        return community_log.NAMES[attribute][:top]


def plan_of(features: tuple[object, ...]) -> Plan:
    """Return the plan of some features."""
    return ll.Catalogue([ll.Behaviour("acts", features, reason="acts")]).compile(_Vocabulary())


def full_plan() -> Plan:
    """Return the plan with every operation: 300 columns."""
    return plan_of(SHARED + MORE)


def shared_plan() -> Plan:
    """Return the columns that pandas, Polars and SQL compute too."""
    return plan_of(SHARED)


def counts_plan() -> Plan:
    """Return the first of them: window counts and recencies, which featuretools computes too."""
    return plan_of(SHARED[: 2 * RECENCIES])


@dataclass(frozen=True)
class Case:
    """A log with its members, and `cutoffs` months before its end; observations as `observe` orders them."""

    events: int
    members: int
    cutoffs: int
    folder: Path

    @cached_property
    def people(self) -> community_log.Members:
        return community_log.draw_members(self.members, SEED)

    @cached_property
    def log(self) -> EncodedLog:
        return community_log.encode(community_log.draw_chunks(self.events, self.people, SEED), self.events)

    @cached_property
    def parquet(self) -> Path:
        return community_log.cached(self.folder, self.events, self.members, SEED)

    @cached_property
    def cutoffs_us(self) -> np.ndarray:
        end = community_log.START_US + community_log.DAYS * DAY_US
        return end - MONTH_US * np.arange(self.cutoffs - 1, -1, -1, dtype=np.int64)

    @cached_property
    def entity(self) -> np.ndarray:
        return np.tile(np.arange(self.members, dtype=np.int64), self.cutoffs)

    @cached_property
    def cutoff(self) -> np.ndarray:
        return np.repeat(self.cutoffs_us, self.members)

    def at(self, cutoffs: int) -> "Case":
        """Return the same log with another number of cutoffs."""
        return Case(self.events, self.members, cutoffs, self.folder).holding(self.log)

    def holding(self, log: EncodedLog) -> "Case":
        """Put the log in its place instead of making it; return self."""
        self.__dict__["log"] = log
        return self

    def __str__(self) -> str:
        cutoffs = "one cutoff" if self.cutoffs == 1 else f"{self.cutoffs} cutoffs"
        return f"{short(self.events)} events, {short(self.members)} members, {cutoffs}"

    def ours(self, plan: Plan, out: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Return the call that is measured: from the encoded log in memory, never seen before, to a new matrix, or into `out`."""
        log, entity, cutoff, people = self.log, self.entity, self.cutoff, self.people
        joined = people.joined[entity]
        # Who asks for no colleagues is spared their sorting.
        account = people.account if any(c.operation == "peers" for c in plan.columns) else None
        extra = {"threads": THREADS} if has_threads() else {}
        # A new log each time: a kernel may remember what it made of the one before.
        return lambda: sweep(
            plan, replace(log), entity, cutoff, account_of=account, joined=joined, out=out, **extra
        )


def has_threads() -> bool:
    """Whether this version of the sweep takes a number of threads."""
    return "threads" in inspect.signature(sweep).parameters


def short(number: int) -> str:
    """Return 10M, 250k or 500."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return str(number)


def differences(ours: np.ndarray, theirs: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Return the columns in which a cell differs; NaN equals NaN."""
    if ours.shape != theirs.shape:
        return [f"shape {theirs.shape} instead of {ours.shape}"]
    return [
        name
        for j, name in enumerate(names)
        if not np.array_equal(ours[:, j], theirs[:, j].astype(np.float32), equal_nan=True)
    ]
