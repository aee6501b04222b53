"""Scorer: a trained model as an application uses it, one member or many rows at a time."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError, InputError, SchemaError, closest
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.start import Start
from leadlight.kernels.sweep import sweep
from leadlight.moments import Duration, Moment
from leadlight.plan import Plan
from leadlight.runtime.align import Infinite, align, as_table, is_rows
from leadlight.runtime.bundle import MAX_BYTES, Parts, check, described, digest, pack, unpack
from leadlight.runtime.card import card
from leadlight.runtime.events import EventInfo, encode_events
from leadlight.runtime.explanation import Explanation
from leadlight.runtime.members import naming, of_log, of_states
from leadlight.runtime.model import Model
from leadlight.runtime.prediction import Prediction
from leadlight.runtime.predictions import Predictions
from leadlight.runtime.reasons import Templates, Writer
from leadlight.runtime.showing import facts, heading
from leadlight.runtime.state import MemberState
from leadlight.runtime.storage import Files, read_files, write_files
from leadlight.runtime.words import ENGLISH, Words

Floats = NDArray[np.float64]

VERSION_DIGITS = 12

Found = tuple[NDArray[np.float32], EventInfo, tuple[str, ...]]
"""Features, what the log alone does not tell, and the facts that were not given."""

_COUNTED = frozenset({"count", "visits", "sum_duration"})
_ROWS = 4096
_LARGEST = 1e300
"""What is typical and larger could not be put into words."""


class Scorer:
    """A model with its plan: events or feature rows in, predictions out. Threads may share it.

    Parameters
    ----------
    model : Model
    plan : Plan
        Its columns are the model's, in the same order.
    info : mapping
        What else a bundle keeps: estimand, decision, metrics, windows, ...; see `leadlight.runtime.bundle.pack`.
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's, such as translations. They are not saved.

    Raises
    ------
    BundleError
        Model or plan are not valid, or do not fit each other.

    Examples
    --------
    >>> import leadlight as ll
    >>> community = ll.testing.small_community()
    >>> asks = ll.Behaviour(
    ...     "asks",
    ...     (ll.Count("question", window="90d"),),
    ...     reason="asked {question_count_90d:question|questions}",
    ... )
    >>> rows = ll.observe(community, every="30d", horizon="90d")
    >>> qualifier = ll.LeadQualifier(ll.Catalogue([asks]), decision=ll.Capacity(n=5)).fit(community, rows)
    >>> scorer = qualifier.scorer_
    >>> events = [{"occurred_at": f"2025-01-{day}", "action": "question"} for day in (10, 17, 24)]
    >>> prediction = scorer.predict(events, at="2025-01-31")
    >>> prediction.reasons[0].text
    'asked 3 questions, typical is none'
    >>> row = scorer.features(events, at="2025-01-31")
    >>> bool(prediction.probability == scorer.predict_proba(row[None])[0, 1])
    True
    """

    def __init__(
        self,
        model: Model,
        plan: Plan,
        info: Mapping[str, Any] | None = None,
        *,
        templates: Templates | None = None,
    ) -> None:
        check(model, plan)
        self._start(Parts(model, plan, described(model, info or {})), templates)

    def _start(self, parts: Parts, templates: Templates | None) -> None:
        # A loaded bundle keeps its bytes: another machine's golden rows may differ in the last digit.
        self.model, self.plan, self._info, self._files = parts
        self._writer = Writer(self.plan, templates, typical=_typical(self._info))
        # One row of numbers, which needs no alignment; no such shape where there are categories.
        self._shape = (1, len(self.columns)) if self.model.levels is None else ()
        columns, keys = list(enumerate(self.plan.columns)), self.plan.keys
        self._peer_places = np.array([j for j, c in columns if c.operation == "peers"], np.intp)
        self._peer_names = tuple(c.name for _, c in columns if c.operation == "peers")
        own = [(j, c) for j, c in columns if all(keys[k].side == "given" for k in c.keys)]
        self._counts = np.array([j for j, c in own if c.operation in _COUNTED], np.intp)
        self._recencies = np.array([j for j, c in own if c.operation == "recency"], np.intp)

    @classmethod
    def from_files(
        cls,
        files: Files,
        *,
        digest: str | None = None,
        check_hashes: bool = True,
        templates: Templates | None = None,
    ) -> Scorer:
        """Return the scorer of a bundle whose files were read; see `load`."""
        scorer = cls.__new__(cls)
        scorer._start(unpack(files, expected=digest, check_hashes=check_hashes), templates)
        scorer.prepare()
        return scorer

    def prepare(self) -> None:
        """Make now what the first call would make. `load` does; threads and forked children then find it made."""
        self.model.prepare()
        _ = self.version

    def with_templates(self, templates: Templates, words: Words = ENGLISH) -> Self:
        """Return a scorer that gives its reasons in other words, such as another language's; it is not saved.

        Parameters
        ----------
        templates : mapping of behaviour to sequence of str
            Sentences in place of the plan's; behaviours that it does not name keep theirs.
        words : Words
            Of the language: see `leadlight.runtime.words.Words`.

        Raises
        ------
        InputError
            `templates` names a behaviour that the plan does not have.
        """
        other = copy.copy(self)
        other._writer = Writer(self.plan, templates, typical=_typical(self._info), words=words)
        return other

    @property
    def info(self) -> Mapping[str, Any]:
        """What the bundle says of the model: estimand, decision, metrics, windows, ..."""
        return MappingProxyType(self._info)

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature names in the order of the model."""
        return self.model.columns

    @property
    def estimand(self) -> str:
        """What the probability is the probability of, in one sentence."""
        return str(self._info["estimand"])

    @cached_property
    def digest(self) -> str:
        """Sha256 that names the bundle, 64 hex digits; the same before and after saving."""
        return digest(self._bundle)

    @property
    def version(self) -> str:
        """First 12 digits of the digest."""
        return self.digest[:VERSION_DIGITS]

    @cached_property
    def _bundle(self) -> Files:
        return self._files if self._files is not None else pack(self.model, self.plan, self._info)

    def files(self) -> Files:
        """Return the bundle as it would be saved: name of each file to its bytes. `from_files` takes it back."""
        return dict(self._bundle)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bundle to a folder, or to one file if the path ends in ".zip"; an old bundle is replaced whole.

        Raises
        ------
        InputError
            The path holds something that is no bundle.
        OSError
            It cannot be written; what was there is still there.
        """
        write_files(self._bundle, path)

    def features(
        self,
        events: Any,
        member: Mapping[str, Any] | None = None,
        peers: Mapping[str, float] | None = None,
        at: Moment | None = None,
    ) -> NDArray[np.float32]:
        """Return the features of one member, float32 of shape (columns,); NaN is missing. Parameters as in `predict`."""
        return self._features(events, member, peers, at)[0]

    def predict(
        self,
        events: Any,
        member: Mapping[str, Any] | None = None,
        peers: Mapping[str, float] | None = None,
        at: Moment | None = None,
        reasons: int = 3,
    ) -> Prediction:
        """Score one member from the member's events, or from a feature row.

        Parameters
        ----------
        events : list of dicts, dict of arrays, pandas, polars or Arrow table, or MemberState; or a feature row
            occurred_at and action, and what else is known; see `leadlight.runtime.events.encode_events`. Empty: a member
            without history. A state answers as all events that it was given. A feature row has the model's columns by
            name (a dict of numbers, a table of one row), or is an array of them in their order.
        member : mapping, optional
            The member's own facts: member_id, email_domain, joined_at. A state has them.
        peers : mapping of peers_* column to number, optional
            What colleagues of the same account did.
        at : moment, optional
            Only what was known before it is used. Default: one microsecond after the newest event.
        reasons : int
            At most so many reasons.

        Returns
        -------
        Prediction
            Equal to the batch path's for equal facts. `missing` names facts that were not given.

        Raises
        ------
        SchemaError, ColumnTypeError, InputError
            Events, facts, peers or the row cannot be used; the message says which.
        """
        if is_rows(events, self.columns):
            row = self._one_row(events, member, peers, at)
            return self._prediction(row, reasons, bool(self._without_history(row)[0]), ())
        found, info, missing = self._features(events, member, peers, at)
        return self._prediction(found.astype(np.float64)[None], reasons, info.cold_start, missing)

    def predict_many(
        self,
        rows: Any = None,
        *,
        events: Any = None,
        states: Mapping[Any, MemberState] | Sequence[MemberState] | None = None,
        members: Any = None,
        peers: Mapping[Any, Mapping[str, float]] | None = None,
        at: Moment | None = None,
        reasons: int = 3,
        threads: int = 1,
        infinite: Infinite = "error",
    ) -> Predictions:
        """Score many members at once, each as `predict` scores one: from rows, from one log, or from states.

        Parameters
        ----------
        rows : table or array of shape (n, columns), optional
            Feature rows, aligned by name as `predict_proba` does it.
        events : list of dicts, dict of arrays, or table, optional
            One log of many members: member_id, occurred_at, action, and what else is known.
        states : mapping of member_id to MemberState, or sequence of MemberState, optional
        members : list of dicts or table with member_id, email_domain, joined_at, or list of member_ids, optional
            With `events`: who is scored, in this order, and their own facts; one whom the log does not name has no
            history. Default: all who act in the log.
        peers : mapping of member_id to mapping of peers_* column to number, optional
            With `events`, or a mapping of states.
        at : moment, optional
            One cutoff for all. Default with `events`: one microsecond after the newest of the log; with states: of each.
        reasons : int
            At most so many for each.
        threads : int
            Trees, linear half and contributions are shared out to so many. The answers do not depend on it.
        infinite : {"error", "missing"}
            What infinities in rows are.

        Returns
        -------
        Predictions
            A sequence of `Prediction`; `columns()` gives them as columns.

        Raises
        ------
        SchemaError, ColumnTypeError, InputError
            Not exactly one of rows, events and states is given, or something in it cannot be used; of events and states
            the message names the member.
        """
        given = sum(value is not None for value in (rows, events, states))
        if given != 1:
            raise InputError(f"predict_many got {given} of rows, events= and states=; give one of them.")
        if rows is not None:
            if members is not None or peers is not None or at is not None:
                raise InputError(
                    "Feature rows hold their facts and their moment; leave out members=, peers= and at=."
                )
            X = align(rows, self.columns, infinite, self.model.levels)
            return self._predictions(X, reasons, self._without_history(X), [()] * len(X), threads)
        if events is not None:
            each = of_log(self.plan, events, members, at)
        else:
            if members is not None:
                raise InputError("A state has the member's facts; give them to scorer.state(member=...).")
            each = of_states(self.plan, states, at)
        known = {str(name): own for name, own in (peers or {}).items()}
        names, found = [], []
        for name, encode in each:
            names.append(name)
            with naming(name):
                found.append(self._swept(*encode(), known.get(name)))
        unknown = sorted(set(known) - set(names))
        if unknown:
            raise InputError(f"peers names {unknown[0]!r}, who is not scored{closest(unknown[0], names)}.")
        X = np.array([row for row, _, _ in found], np.float64).reshape(len(found), len(self.columns))
        cold = np.array([info.cold_start for _, info, _ in found], bool)
        missing = [lacking for _, _, lacking in found]
        return self._predictions(X, reasons, cold, missing, threads, tuple(names))

    def state(self, member: Mapping[str, Any] | None = None, *, keep: Duration | None = "7d") -> MemberState:
        """Return a state without events for a member: see `MemberState`, which says what `keep` keeps."""
        return MemberState(self.plan, member, keep=keep)

    def predict_proba(self, X: Any, *, infinite: Infinite = "error", threads: int = 1) -> Floats:
        """Return the probabilities of feature rows aligned by name, shape (n, 2): no deal, a deal.

        Rows are shared out to so many threads. Other parameters and errors as in `leadlight.runtime.align.align`.
        """
        model = self.model
        if type(X) is np.ndarray and X.shape == self._shape and X.dtype == np.float64:
            with suppress(InputError):  # infinite: what follows says where, or reads it as missing
                one = model.probability_of(X)
                return np.array([[1.0 - one, one]])
        p = model.probability(align(X, self.columns, infinite, model.levels), threads)
        both = np.empty((len(p), 2))
        both[:, 1] = p
        np.subtract(1.0, p, out=both[:, 0])
        return both

    def explain(
        self,
        events: Any,
        member: Mapping[str, Any] | None = None,
        peers: Mapping[str, float] | None = None,
        at: Moment | None = None,
        *,
        infinite: Infinite = "error",
        threads: int = 1,
    ) -> Explanation:
        """Return what each column adds to the calibrated log-odds, of one member or of feature rows.

        Parameters
        ----------
        events : events or MemberState of one member, as for `predict`; or feature rows, as for `predict_proba`
        member, peers, at :
            As for `predict`; rows have none.
        infinite : {"error", "missing"}
            What infinities in rows are.
        threads : int
            Rows are shared out to so many.

        Returns
        -------
        Explanation
            values, base, data and names as arrays; `to_shap()` where shap is installed.
        """
        if is_rows(events, self.columns):
            self._only_rows(member, peers, at)
            X = align(as_table(events), self.columns, infinite, self.model.levels)
        else:
            X = self._features(events, member, peers, at)[0].astype(np.float64)[None]
        return Explanation(*self._contributions(X, threads), X, self.columns, self.plan)

    def explain_rows(self, X: Any, *, infinite: Infinite = "error") -> tuple[Floats, float]:
        """Return contributions in calibrated log-odds, shape (n, columns), and the base that completes their sum."""
        return self._contributions(align(X, self.columns, infinite, self.model.levels))

    def predict_rows(self, X: Any, reasons: int = 3, *, infinite: Infinite = "error") -> list[Prediction]:
        """Return a prediction for each feature row, aligned by name: `predict_many` as a list.

        A row whose own counts are all zero is a cold start.
        """
        values = align(X, self.columns, infinite, self.model.levels)
        cold = self._without_history(values)
        if len(values) == 1:
            return [self._prediction(values, reasons, bool(cold[0]), ())]
        return list(self._predictions(values, reasons, cold, [()] * len(values)))

    def card(self) -> str:
        """Return the model card, in Markdown: see `leadlight.runtime.card`."""
        return card(self.info, self.plan, self.columns, self.digest)

    def _one_row(self, row: Any, *facts: Any) -> Floats:
        self._only_rows(*facts)
        X = align(as_table(row), self.columns, "error", self.model.levels)
        if len(X) != 1:
            raise InputError(
                f"predict answers for one member and got {len(X)} feature rows; use predict_many."
            )
        return X

    def _only_rows(self, member: Any, peers: Any, at: Any) -> None:
        if member is not None or peers is not None or at is not None:
            raise InputError(
                "A feature row holds its facts and its moment; leave out member=, peers= and at=."
            )

    def _features(
        self,
        events: Any,
        member: Mapping[str, Any] | None,
        peers: Mapping[str, float] | None,
        at: Moment | None,
    ) -> Found:
        if isinstance(events, MemberState):
            if member is not None:
                raise InputError("A state has the member's facts; give them to scorer.state(member=...).")
            return self._swept(*events.encoded(self.plan, at), peers)
        return self._swept(*encode_events(events, self.plan, member, at), None, peers)

    def _swept(
        self,
        log: EncodedLog,
        entity: NDArray[np.int64],
        info: EventInfo,
        start: Start | None,
        peers: Mapping[str, float] | None,
    ) -> Found:
        cutoff = np.array([info.at_us], np.int64)
        row = sweep(self.plan, log, entity, cutoff, joined=info.joined, start=start)[0]
        if info.unknown:
            row[list(info.unknown)] = np.nan
        row[self._peer_places] = np.nan
        lacking = self._peer_names
        if given := self._peers(peers):
            for j, name in zip(self._peer_places.tolist(), self._peer_names, strict=True):
                row[j] = given.get(name, np.nan)
            lacking = tuple(name for name in lacking if name not in given)
        return row, info, (*info.missing, *lacking)

    def _peers(self, peers: Mapping[str, float] | None) -> dict[str, float]:
        if peers is None:
            return {}
        if not isinstance(peers, Mapping):
            raise InputError(
                f"peers is a {type(peers).__name__}; give a dict of peers_* columns and numbers."
            )
        if not peers:
            return {}
        known = self._peer_names
        for name in peers:
            if name not in known:
                raise SchemaError(
                    f"peers has {name!r}, which the plan does not have{closest(str(name), known)}."
                )
        names = list(peers)
        return dict(zip(names, align({n: [peers[n]] for n in names}, names)[0].tolist(), strict=True))

    def _without_history(self, X: Floats) -> NDArray[np.bool_]:
        own, ever = self._counts, self._recencies
        quiet = np.isnan(X.take(ever, axis=1)).all(axis=1) & bool(len(own) or len(ever))
        # Whoever has a recency has a history; most often that is everybody. NaN is not above zero.
        if quiet.any():
            quiet &= ~(np.abs(X.take(own, axis=1)) > 0).any(axis=1)
        return np.asarray(quiet)

    def _scored(self, X: Floats, threads: int = 1) -> tuple[Floats, Floats, Floats, Floats]:
        """Return probability, low, high, and what is compared with the stored scores."""
        p, low, high = self.model.scores(X, threads)
        return p, low, high, p

    def _contributions(self, X: Floats, threads: int = 1) -> tuple[Floats, float]:
        return self.model.contributions(X, threads)

    def _prediction(self, X: Floats, reasons: int, cold: bool, missing: tuple[str, ...]) -> Prediction:
        p, low, high, ranked = (part.item() for part in self._scored(X))
        grade, percentile, qualified = self.model.standing(ranked)
        texts = self._writer.write(X, self._contributions(X)[0], reasons)[0] if reasons != 0 else ()
        return Prediction(
            p, low, high, grade, qualified, texts, cold, self.version, percentile=percentile, missing=missing
        )

    def _predictions(
        self,
        X: Floats,
        reasons: int,
        cold: NDArray[np.bool_],
        missing: list[tuple[str, ...]],
        threads: int = 1,
        names: tuple[str, ...] | None = None,
    ) -> Predictions:
        p, low, high, ranked = self._scored(X, threads)
        model, texts = self.model, []
        for start in range(0, len(X), _ROWS) if reasons != 0 else ():
            # Not all contributions at once: they are as large as the rows.
            rows = X[start : start + _ROWS]
            texts += self._writer.write(rows, self._contributions(rows, threads)[0], reasons)
        return Predictions(
            p,
            low,
            high,
            model.percentile(ranked),
            model.grade(ranked),
            model.qualified(ranked),
            cold,
            texts or [()] * len(X),
            missing,
            self.version,
            names,
        )

    def _repr_html_(self) -> str:
        told = {
            "version": self.version,
            "the probability is of": self.estimand,
            "decision": (self._info["decision"] or {}).get("text"),
            "threshold": f"{self.model.threshold:.3g}",
            "measures": f"{len(self.plan.behaviours)} behaviours in {len(self.columns):,} columns",
        }
        return heading("Scorer", "of a simulated community" if self._info["simulated"] else "") + facts(told)

    def __repr__(self) -> str:
        trees = 0 if self.model.trees is None else len(self.model.trees.root)
        parts = " + ".join(
            [f"{trees} trees"] * (self.model.trees is not None) + ["linear"] * (self.model.linear is not None)
        )
        stamp = ", simulated" if self._info["simulated"] else ""
        return f"Scorer({self.version}: {len(self.columns)} columns, {parts}, threshold {self.model.threshold:.3g}{stamp})"


def _typical(info: Mapping[str, Any]) -> dict[str, float]:
    """Return what the bundle says is typical of a column."""
    found = info.get("typical", {})
    if not isinstance(found, dict) or not all(
        type(v) in (int, float) and abs(v) <= _LARGEST for v in found.values()
    ):
        raise BundleError("What is typical is no dict of numbers. Copy or save the bundle again.")
    return found


def load(
    path: str | os.PathLike[str],
    *,
    digest: str | None = None,
    check_hashes: bool = True,
    max_bytes: int = MAX_BYTES,
    templates: Templates | None = None,
) -> Scorer:
    """Load a bundle: a folder, or one .zip of it. Nothing in it is run, and nothing is imported for it.

    Parameters
    ----------
    path : path
    digest : str, optional
        What the bundle's digest must be, with or without "sha256:", or at least its first 12 digits (a Prediction's
        model_version). Where it is given, hashes are checked in any case.
    check_hashes : bool
        Whether every file must have the hash that the manifest names. Without it, a model that is edited on purpose is
        still valid and finite, and it may be another.
    max_bytes : int
        A larger bundle is refused before it is read.
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's, such as translations.

    Returns
    -------
    Scorer

    Raises
    ------
    BundleError
        There is no bundle, or it is damaged, edited, too large or of a newer format.

    Examples
    --------
    >>> import leadlight as ll
    >>> import tempfile
    >>> community = ll.testing.small_community()
    >>> asks = ll.Behaviour(
    ...     "asks",
    ...     (ll.Count("question", window="90d"),),
    ...     reason="asked {question_count_90d:question|questions}",
    ... )
    >>> rows = ll.observe(community, every="30d", horizon="90d")
    >>> qualifier = ll.LeadQualifier(ll.Catalogue([asks]), decision=ll.Capacity(n=5)).fit(community, rows)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     qualifier.save(f"{folder}/model")
    ...     scorer = ll.load(f"{folder}/model")
    >>> scorer.version == qualifier.scorer_.version
    True
    >>> scorer.predict([], at="2025-01-31").cold_start
    True
    """
    files = read_files(path, max_bytes)
    return Scorer.from_files(files, digest=digest, check_hashes=check_hashes, templates=templates)
