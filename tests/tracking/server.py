"""A real MLflow server in a process of its own, and a real scoring server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import leadlight as ll

PATIENCE_S = 240
SOURCE = str(Path(ll.__file__).parents[1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Process:
    """A server in a process group of its own, ended with all that it started."""

    def __init__(self, arguments: list[str], port: int, path: str, log: Path, **environment: str) -> None:
        self.arguments, self.port, self.path, self.log = arguments, port, path, log
        self.environment = {
            **os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": SOURCE,
            # The scoring server starts uvicorn by its name.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **environment,
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *self.arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.log.parent,
                start_new_session=True,
            )
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text()[-3000:])
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.path}", timeout=5):
                    return self
            except OSError:
                time.sleep(0.2)
        self.kill()
        raise RuntimeError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def tracking_server(folder: Path) -> Process:
    port = free_port()
    arguments = [
        "server", "--backend-store-uri", f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination", str(folder / "server-artifacts"),
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    return Process(
        arguments, port, "/health", folder / "server.log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
    )


def scoring_server(folder: Path, model_uri: str, tracking_uri: str) -> Process:
    port = free_port()
    arguments = [
        "models", "serve", "-m", model_uri, "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    return Process(arguments, port, "/ping", folder / "scoring.log", MLFLOW_TRACKING_URI=tracking_uri)


def ask(port: int, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["predictions"]
            return found
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error
