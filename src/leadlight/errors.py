"""One small family of errors; each member is also the builtin that a caller would expect."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable


class LeadlightError(Exception):
    """Base of everything that leadlight raises on purpose."""


class InputError(LeadlightError, ValueError):
    """A value that cannot be used: a window, a share, a weight, a timestamp."""


class SchemaError(LeadlightError, ValueError):
    """A table or frame lacks a column, repeats one, or names one that is not known."""


class ColumnTypeError(LeadlightError, TypeError):
    """A column holds a type that cannot be a feature or an identifier."""


class LeakageError(LeadlightError, ValueError):
    """Something from after the cutoff would reach the model or its judgement."""


class ImmatureLabelError(LeadlightError, ValueError):
    """Label windows that had not ended when the data were frozen."""


class NotFittedError(LeadlightError, ValueError, AttributeError):
    """An object was used before `fit`."""


class BundleError(LeadlightError, ValueError):
    """A saved model that is damaged, edited, too large or of a newer format."""


class MissingDependencyError(LeadlightError, ImportError):
    """A package that this call needs is not installed."""


class LeadlightWarning(UserWarning):
    """Something that does not stop the work and that the user should know."""


def warn(message: str, category: type[LeadlightWarning] = LeadlightWarning) -> None:
    """Warn with a pointer at the line outside leadlight that asked for the work."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "leadlight":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def closest(name: str, candidates: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest candidate, or an empty string."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""
