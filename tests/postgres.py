"""A PostgreSQL server for one session of tests, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class PostgreSQL:
    """A server in a folder of its own, on a free port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, driver: str) -> Any:
        """Return a connection of a driver: adbc or psycopg."""
        uri = f"postgresql://leadlight@127.0.0.1:{self.port}/postgres"
        if driver == "adbc":
            return pytest.importorskip("adbc_driver_postgresql.dbapi").connect(uri)
        return pytest.importorskip("psycopg").connect(uri)


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, the newest where there are several."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    places = [*reversed(folders), *([Path(found).parent] if found else [])]
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


@contextmanager
def serve() -> Iterator[PostgreSQL]:
    """Start a server and stop it; skip where there is none."""
    bin_ = programs()
    if bin_ is None:
        pytest.skip("PostgreSQL is not installed (Debian, Ubuntu: apt-get install postgresql)")
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "timeout": 60, "cwd": "/"}
    folder = Path(tempfile.mkdtemp(prefix="leadlight-pg-"))
    if os.geteuid() == 0:
        import pwd  # not on every system

        # The server refuses to run as root.
        nobody = pwd.getpwnam("postgres")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        data = str(folder / "data")
        subprocess.run(
            [bin_ / "initdb", "-D", data, "-U", "leadlight", "--auth=trust", "-E", "UTF8", "--no-sync"],
            check=True,
            **options,
        )
        started = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        subprocess.run(
            [bin_ / "pg_ctl", "-D", data, "-o", started, "-l", str(folder / "log"), "-w", "start"],
            check=True,
            **options,
        )
        try:
            yield PostgreSQL(port)
        finally:
            subprocess.run(
                [bin_ / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], check=True, **options
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
