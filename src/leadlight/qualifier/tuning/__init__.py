"""Tuning with Optuna: a small space, judged on later windows, and the default where nothing beats it for sure."""

from leadlight.qualifier.tuning.search import SPACE, Attempt
from leadlight.qualifier.tuning.tuning import Tuning, tune

__all__ = ["SPACE", "Attempt", "Tuning", "tune"]
