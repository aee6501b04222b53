"""The surroundings of a call to MLflow: no telemetry, bounded waiting, no noise; afterwards all is as before."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOCK: Final = threading.RLock()
_LOGGERS: Final = ("alembic", "mlflow")

ALWAYS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # In a folder with uv.lock MLflow would start uv and put the lock file into the model.
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
UNLESS_SET: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@contextmanager
def environment() -> Iterator[None]:
    """Switch telemetry off and bound the waiting, for the length of a call, one thread at a time."""
    with _LOCK:
        wanted = ALWAYS | {name: value for name, value in UNLESS_SET.items() if name not in os.environ}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the making of database tables out of the log, and warnings among other people's packages to themselves.

    Where warnings are errors, one of them would otherwise cost the run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401  it sets the level of its loggers, so it comes first

        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
