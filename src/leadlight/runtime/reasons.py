"""Contributions of columns -> the behaviours that moved the score, each as a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from leadlight.errors import InputError, closest
from leadlight.plan import Plan, PlannedBehaviour
from leadlight.runtime.prediction import Reason
from leadlight.runtime.sentences import CONDITIONS, Placeholder, amount, decoded, entry_of, in_words, split
from leadlight.runtime.words import ENGLISH, Words

Templates = Mapping[str, Sequence[str]]
_Candidate = tuple[str, tuple[tuple[str, Placeholder], ...]]
"""An entry, and the columns that a template refers to with it."""
_Found = TypeVar("_Found")

_COUNTS: Final = frozenset({"count", "visits", "distinct", "peers"})
_AMOUNTS: Final = ("duration", "percent")
_FORMS: Final = ("", "ago", "duration", "percent", *CONDITIONS)

TIE: Final = 1e-4
"""Contributions (log-odds) that differ by less count as equal, so that the last digit of a feature reorders nothing."""

NOTHING: Final = 1e-9
"""A contribution below it is rounding, and no reason."""


def reasons(
    plan: Plan, values: ArrayLike, contributions: ArrayLike, n: int = 3, templates: Templates | None = None
) -> tuple[Reason, ...]:
    """Return the behaviours that moved one score most.

    Parameters
    ----------
    plan : Plan
    values, contributions : arrays of shape (columns,)
        Features in the order of the plan, and what each adds to the calibrated log-odds.
    n : int
        At most so many; behaviours that add nothing are never among them.
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's, such as translations.

    Returns
    -------
    tuple of Reason
        By the absolute sum of the contributions of a behaviour's columns, heaviest first; a run of sums each within `TIE`
        of the next goes in the plan's order. A behaviour that speaks for a member only by what was not done is passed over.

    Raises
    ------
    InputError
        Shapes do not fit the plan, `n` is negative, or `templates` names an unknown behaviour.
    """
    return reasons_many(plan, np.asarray(values)[None], np.asarray(contributions)[None], n, templates)[0]


def reasons_many(
    plan: Plan, values: ArrayLike, contributions: ArrayLike, n: int = 3, templates: Templates | None = None
) -> list[tuple[Reason, ...]]:
    """Return the reasons of each row; `values` and `contributions` have shape (rows, columns)."""
    return Writer(plan, templates).write(values, contributions, n)


class _Draft(NamedTuple):
    """A template with its entries chosen, for one member; its text is written if it is the one that is said."""

    template: _Template
    chosen: dict[str, str]
    places: list[int]
    weight: float


class _Template:
    """A template of one behaviour: its parts, and the columns that they may refer to."""

    def __init__(
        self,
        template: str,
        behaviour: PlannedBehaviour,
        position: Mapping[str, int],
        counts: frozenset[str],
        typical: Mapping[str, float],
        words: Words,
    ) -> None:
        self.parts = split(template)
        self.counts, self.typical, self.words = counts, typical, words
        self.columns = {c: position[c] for c in behaviour.columns}
        holes = [part for part in self.parts if isinstance(part, Placeholder)]
        self._valued = [h for h in holes if h.says_value]
        self._column_at = {j: c for c, j in self.columns.items()}
        self.fixed = [h for h in holes if not h.starred]
        self.usable = all(h.name in self.columns for h in self.fixed)
        # Asked of every template of every member, so found once.
        own = self.fixed if self.usable else []
        self._holds = [(self.columns[h.name], CONDITIONS.get(h.form, -math.inf)) for h in own]
        self._referenced = list(dict.fromkeys(self.columns[h.name] for h in own))
        counted = [h for h in own if h.form not in _FORMS or h.form in _AMOUNTS or h.name in counts]
        self._zeros = [self.columns[h.name] for h in counted]
        self._candidates = [
            (prefix, [self._placed(entry, columns) for entry, columns in self._entries(prefix, holes)])
            for prefix in dict.fromkeys(h.prefix for h in holes if h.starred)
        ]

    def _placed(
        self, entry: str, columns: tuple[tuple[str, Placeholder], ...]
    ) -> tuple[str, list[tuple[int, float]], list[int]]:
        """Return an entry, where its values stand and what they must be above, and the places of its columns."""
        places = [self.columns[name] for name, _ in columns]
        above = [CONDITIONS.get(hole.form, -math.inf) for _, hole in columns]
        return entry, list(zip(places, above, strict=True)), places

    def _entries(self, prefix: str, holes: list[Placeholder]) -> list[_Candidate]:
        """Return each entry that can take the star's place, with the columns that it then refers to."""
        patterns = [h for h in holes if h.starred and h.prefix == prefix and not h.entry_alone]
        alone = [h for h in holes if h.starred and h.prefix == prefix][:1]
        found: list[_Candidate] = []
        for column in self.columns:
            entry = entry_of(column, prefix)
            if entry is None:
                continue
            columns = tuple((h.name.replace("*", entry), h) for h in patterns)
            columns = columns or tuple((column, h) for h in alone)
            if all(name in self.columns for name, _ in columns) and (entry, columns) not in found:
                found.append((entry, columns))
        return found

    def draft(self, values: Sequence[float], weights: Sequence[float], sign: float) -> _Draft | None:
        """Fill the template for one member; None where a value is missing, a condition fails or no entry fits."""
        if not self.usable:
            return None
        for j, above in self._holds:
            if not (above < values[j] < math.inf):
                return None
        if not self._candidates:
            weight = sum([sign * weights[j] for j in self._referenced])
            return _Draft(self, {}, self._referenced, weight)
        referenced = self._referenced
        chosen: dict[str, str] = {}
        for prefix, candidates in self._candidates:
            fitting: list[tuple[str, list[int]]] = []
            weighed: list[float] = []
            for entry, holds, places in candidates:
                # Of an entry that the member never touched a sentence cannot speak.
                for j, above in holds:
                    if not (above < values[j] < math.inf) or values[j] == 0:
                        break
                else:
                    fitting.append((entry, places))
                    weighed.append(sum([sign * weights[j] for j in places]))
            if not fitting:
                return None
            chosen[prefix], places = _first_best(fitting, weighed)
            referenced = referenced + places
        weight = sum([sign * weights[j] for j in dict.fromkeys(referenced)])
        return _Draft(self, chosen, referenced, weight)

    def said(self, values: Sequence[float], draft: _Draft) -> tuple[str, tuple[str, ...]]:
        """Return the sentence and the columns that it speaks of: those whose values it says, else all that it refers to."""
        names = [self._name(hole, draft.chosen) for hole in self._valued]
        columns = tuple(dict.fromkeys(names or [self._column_at[j] for j in draft.places]))
        return "".join(self._words(values, draft.chosen)) + self._typical(values, draft.chosen), columns

    def holds_zero(self, values: Sequence[float]) -> bool:
        """Whether the sentence would say zero."""
        return any(values[j] == 0 for j in self._zeros)

    def _name(self, hole: Placeholder, chosen: Mapping[str, str]) -> str:
        """Return the column of a placeholder."""
        return hole.name.replace("*", chosen[hole.prefix]) if hole.starred else hole.name

    def _words(self, values: Sequence[float], chosen: Mapping[str, str]) -> Iterator[str]:
        for i, part in enumerate(self.parts):
            if isinstance(part, str):
                yield part
            elif part.entry_alone:
                yield decoded(chosen[part.prefix])
            else:
                name = self._name(part, chosen)
                following = self.parts[i + 1] if i + 1 < len(self.parts) else ""
                word = isinstance(following, str) and following[:1] == " " and following[1:2].isalpha()
                yield in_words(
                    values[self.columns[name]],
                    part.form,
                    counts=name in self.counts,
                    before_word=word,
                    words=self.words,
                )

    def _typical(self, values: Sequence[float], chosen: Mapping[str, str]) -> str:
        """Return what is typical of the first value that the sentence says; nothing where that is the member's own."""
        if not self._valued:
            return ""
        hole = self._valued[0]
        name = self._name(hole, chosen)
        usual = self.typical.get(name)
        if usual is None:
            return ""
        own, other = (
            amount(value, hole.form, counts=name in self.counts, words=self.words)
            for value in (values[self.columns[name]], usual)
        )
        return "" if own == other else self.words.typical.replace("{}", other)


class Writer:
    """Writes the reasons of a plan; holds its templates in parsed form. Read only, so threads may share it.

    Parameters
    ----------
    plan : Plan
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's.
    typical : mapping of column to float, optional
        What is typical of a column among members; a sentence that says a column's value says it, too.
    words : Words
        Of the language of the templates.

    Raises
    ------
    InputError
        `templates` names a behaviour that the plan does not have.
    """

    def __init__(
        self,
        plan: Plan,
        templates: Templates | None = None,
        *,
        typical: Mapping[str, float] | None = None,
        words: Words = ENGLISH,
    ) -> None:
        names = [b.name for b in plan.behaviours]
        own = dict(templates or {})
        for name in own:
            if name not in names:
                raise InputError(
                    f"templates= names the behaviour {name!r}, which the plan does not have{closest(name, names)}."
                )
        position = {name: j for j, name in enumerate(plan.column_names)}
        counts = frozenset(c.name for c in plan.columns if c.operation in _COUNTS)
        self.names, self.words = tuple(names), words
        self._width = len(plan.columns)
        self._columns = np.array([position[c] for b in plan.behaviours for c in b.columns], dtype=np.intp)
        self._behaviour = np.repeat(np.arange(len(names)), [len(b.columns) for b in plan.behaviours])
        self._templates = [
            tuple(
                _Template(text, b, position, counts, typical or {}, words)
                for text in _sentences(own.get(b.name, b.reasons))
            )
            for b in plan.behaviours
        ]

    def write(self, values: ArrayLike, contributions: ArrayLike, n: int = 3) -> list[tuple[Reason, ...]]:
        """Return the reasons of each row; see `reasons`."""
        X, C = np.asarray(values, dtype=np.float64), np.asarray(contributions, dtype=np.float64)
        if X.shape != C.shape or X.ndim != 2 or X.shape[1] != self._width:
            raise InputError(
                f"values have shape {X.shape}, contributions {C.shape}; the plan has {self._width} columns."
            )
        if isinstance(n, bool) or n < 0:
            raise InputError(f"n is {n!r}; give the number of reasons, 0 or more.")
        # Added from the first column to the last: the sum of a row does not depend on the other rows.
        shape = len(X), len(self.names)
        cells = (np.arange(len(X))[:, None] * shape[1] + self._behaviour).ravel()
        sums = np.bincount(cells, C[:, self._columns].ravel(), shape[0] * shape[1]).reshape(shape)
        heaviest = _heaviest(np.abs(sums))
        return [
            tuple(islice(self._row(X[i].tolist(), C[i].tolist(), sums[i], heaviest[i].tolist()), n))
            for i in range(len(X))
        ]

    def _row(
        self,
        values: list[float],
        weights: list[float],
        sums: np.ndarray[tuple[int], np.dtype[np.float64]],
        order: list[int],
    ) -> Iterator[Reason]:
        for b in order:
            if abs(sums[b]) < NOTHING:
                continue
            found = self._text(b, values, weights, positive=bool(sums[b] > 0))
            if found is not None:
                yield Reason(self.names[b], float(sums[b]), *found)

    def _text(
        self, b: int, values: list[float], weights: list[float], *, positive: bool
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return the sentence and the columns that it speaks of."""
        sign = 1.0 if positive else -1.0
        drafts = [d for t in self._templates[b] if (d := t.draft(values, weights, sign)) is not None]
        if positive and drafts:
            # What a member did speaks for the member; "asked no questions" is no reason to call anybody.
            drafts = [d for d in drafts if not d.template.holds_zero(values)]
            if not drafts:
                return None
        if not drafts:
            name = self.words.name(self.names[b])
            return (name if positive else self.words.little.replace("{}", name)), ()
        best = _first_best(drafts, [d.weight for d in drafts])
        return best.template.said(values, best)


def _heaviest(
    size: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
    """Return the places of each row from the largest down, runs of near ties in their own order."""
    order = np.argsort(-size, axis=1, kind="stable")
    falls = -np.diff(np.take_along_axis(size, order, 1), axis=1)
    run = np.zeros(order.shape, np.intp)
    run[:, 1:] = np.cumsum(falls > TIE, axis=1)
    return np.take_along_axis(order, np.argsort(run * order.shape[1] + order, axis=1), 1)


def _first_best(found: Sequence[_Found], weights: Sequence[float]) -> _Found:
    """Return the first whose weight is the largest, or as good as that."""
    enough = max(weights) - TIE
    return next(one for one, weight in zip(found, weights, strict=True) if weight >= enough)


def _sentences(templates: Sequence[str]) -> tuple[str, ...]:
    return (templates,) if isinstance(templates, str) else tuple(templates)
