"""MLflow: a training run with everything that its judge needs, and the bundle as a model that any MLflow tool can load."""

from leadlight.tracking.run import LoggedRun, log_run

__all__ = ["LoggedRun", "log_run"]
