"""Scorer: a trained model as an application uses it, one member or many rows at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError, SchemaError, closest
from leadlight.kernels.sweep import sweep
from leadlight.moments import Duration, Moment
from leadlight.plan import Plan
from leadlight.runtime.align import Infinite, align
from leadlight.runtime.bundle import MAX_BYTES, Parts, check, described, digest, pack, unpack
from leadlight.runtime.events import EventInfo, encode_events
from leadlight.runtime.model import Model
from leadlight.runtime.prediction import Prediction, Reason
from leadlight.runtime.reasons import Templates, Writer
from leadlight.runtime.state import MemberState
from leadlight.runtime.storage import Files, read_files, write_files

Floats = NDArray[np.float64]

VERSION_DIGITS = 12

_COUNTED = frozenset({"count", "visits", "sum_duration"})


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
        self._writer = Writer(self.plan, templates)
        columns = enumerate(self.plan.columns)
        self._peer_columns = tuple((j, c.name) for j, c in columns if c.operation == "peers")

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
        return scorer

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
        """Score one member from the member's events.

        Parameters
        ----------
        events : list of dicts, dict of arrays, pandas, polars or Arrow table, or MemberState
            occurred_at and action, and what else is known; see `leadlight.runtime.events.encode_events`. Empty: a member
            without history. A state answers as all events that it was given.
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
            Events, facts or peers cannot be used; the message says which.
        """
        row, info, missing = self._features(events, member, peers, at)
        X = row.astype(np.float64)[None]
        return self._predictions(X, reasons, np.array([info.cold_start]), missing)[0]

    def state(self, member: Mapping[str, Any] | None = None, *, keep: Duration | None = "7d") -> MemberState:
        """Return a state without events for a member: see `MemberState`, which says what `keep` keeps."""
        return MemberState(self.plan, member, keep=keep)

    def predict_proba(self, X: Any, *, infinite: Infinite = "error") -> Floats:
        """Return the probabilities of feature rows aligned by name, shape (n, 2): no deal, a deal.

        Parameters and errors as in `leadlight.runtime.align.align`.
        """
        p = self.model.probability(align(X, self.columns, infinite, self.model.levels))
        return np.column_stack([1.0 - p, p])

    def explain_rows(self, X: Any, *, infinite: Infinite = "error") -> tuple[Floats, float]:
        """Return contributions in calibrated log-odds, shape (n, columns), and the base that completes their sum."""
        return self.model.contributions(align(X, self.columns, infinite, self.model.levels))

    def predict_rows(self, X: Any, reasons: int = 3, *, infinite: Infinite = "error") -> list[Prediction]:
        """Return a prediction for each feature row, aligned by name.

        A row whose own counts are all zero is a cold start.
        """
        values = align(X, self.columns, infinite, self.model.levels)
        return self._predictions(values, reasons, self._without_history(values), ())

    def _features(
        self,
        events: Any,
        member: Mapping[str, Any] | None,
        peers: Mapping[str, float] | None,
        at: Moment | None,
    ) -> tuple[NDArray[np.float32], EventInfo, tuple[str, ...]]:
        start = None
        if isinstance(events, MemberState):
            if member is not None:
                raise InputError("A state has the member's facts; give them to scorer.state(member=...).")
            log, entity, info, start = events.encoded(self.plan, at)
        else:
            log, entity, info = encode_events(events, self.plan, member, at)
        cutoff = np.array([info.at_us], np.int64)
        row = sweep(self.plan, log, entity, cutoff, joined=info.joined, start=start)[0]
        row[list(info.unknown)] = np.nan
        given = self._peers(peers)
        lacking = []
        for j, name in self._peer_columns:
            row[j] = given.get(name, np.nan)
            if name not in given:
                lacking.append(name)
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
        known = [name for _, name in self._peer_columns]
        for name in peers:
            if name not in known:
                raise SchemaError(
                    f"peers has {name!r}, which the plan does not have{closest(str(name), known)}."
                )
        names = list(peers)
        return dict(zip(names, align({n: [peers[n]] for n in names}, names)[0].tolist(), strict=True))

    def _without_history(self, X: Floats) -> NDArray[np.bool_]:
        own = [
            j
            for j, column in enumerate(self.plan.columns)
            if column.operation in _COUNTED and all(self.plan.keys[k].side == "given" for k in column.keys)
        ]
        ever = [
            j
            for j, column in enumerate(self.plan.columns)
            if column.operation == "recency" and self.plan.keys[column.keys[0]].side == "given"
        ]
        quiet = ((X[:, own] == 0) | np.isnan(X[:, own])).all(axis=1) & np.isnan(X[:, ever]).all(axis=1)
        return np.asarray(quiet & bool(own or ever))

    def _predictions(
        self, X: Floats, reasons: int, cold: NDArray[np.bool_], missing: tuple[str, ...]
    ) -> list[Prediction]:
        model = self.model
        p, low, high = model.scores(X)
        grades, percentiles, qualified = model.grade(p), model.percentile(p), model.qualified(p)
        texts: list[tuple[Reason, ...]] = [()] * len(X)
        if reasons != 0:
            texts = self._writer.write(X, model.contributions(X)[0], reasons)
        return [
            Prediction(
                probability=float(p[i]),
                low=float(low[i]),
                high=float(high[i]),
                grade=str(grades[i]),
                qualified=bool(qualified[i]),
                reasons=texts[i],
                cold_start=bool(cold[i]),
                model_version=self.version,
                percentile=float(percentiles[i]),
                missing=missing,
            )
            for i in range(len(X))
        ]

    def __repr__(self) -> str:
        trees = 0 if self.model.trees is None else len(self.model.trees.root)
        parts = " + ".join(
            [f"{trees} trees"] * (self.model.trees is not None) + ["linear"] * (self.model.linear is not None)
        )
        stamp = ", simulated" if self._info["simulated"] else ""
        return f"Scorer({self.version}: {len(self.columns)} columns, {parts}, threshold {self.model.threshold:.3g}{stamp})"


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
    """
    files = read_files(path, max_bytes)
    return Scorer.from_files(files, digest=digest, check_hashes=check_hashes, templates=templates)
