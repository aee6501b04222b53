"""What MLflow has not got yet: a folder beside the bundle, whole by itself, written before MLflow is called.

::

    <bundle>.pending/<record id>/record.json     the record; says why it is still here
    <bundle>.pending/<record id>/files/...       plots, page, tables
    <bundle>.pending/<record id>/bundle/         a copy: another training may replace the one outside
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leadlight.errors import BundleError
from leadlight.runtime import load
from leadlight.tracking.record import Record

PENDING_FORMAT: Final = 2

_RECORD: Final = "record.json"
_FILES: Final = "files"
_BUNDLE: Final = "bundle"


@dataclass(frozen=True)
class Pending:
    """One record on disk, with its bundle."""

    folder: Path
    record: Record
    run_id: str | None
    problem: str

    @property
    def bundle(self) -> Path | None:
        """The bundle that goes with it, if any."""
        path = self.folder / _BUNDLE
        return path if path.is_dir() else None


def pending_folder(beside: Path) -> Path:
    """Return where the records of a bundle wait."""
    return beside.with_name(f"{beside.name}.pending")


def write_pending(beside: Path, record: Record, bundle: Path | None) -> Pending:
    """Write a record and a copy of its bundle; there whole or not at all.

    Raises
    ------
    OSError
        The disk is full or may not be written.
    """
    folder = pending_folder(beside) / record.record_id
    temporary = folder.with_name(f".{record.record_id}.{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        for name, data in record.files.items():
            path = temporary / _FILES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if bundle is not None:
            load(bundle, digest=record.model_digest).save(temporary / _BUNDLE)
        found = Pending(temporary, record, None, "")
        note(found, None, "it was not sent: the process ended")
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()
        raise
    return Pending(folder, record, None, "")


def note(pending: Pending, run_id: str | None, problem: str) -> None:
    """Write how far the record came and what stopped it."""
    content = {
        "format": PENDING_FORMAT,
        "run_id": run_id,
        "problem": problem,
        **pending.record.to_dict(),
    }
    path = pending.folder / _RECORD
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def clear(pending: Pending) -> None:
    """Remove a record that MLflow has; its first file goes first, so that half of a folder is no record."""
    (pending.folder / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(pending.folder, ignore_errors=True)
    with suppress(OSError):
        pending.folder.parent.rmdir()


def read(folder: Path) -> Pending:
    """Return the record that a folder holds.

    Raises
    ------
    BundleError
        It is damaged, or of a newer format.
    """
    try:
        content: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if content["format"] != PENDING_FORMAT:
            raise BundleError(
                f"{folder} has format {content['format']!r}; this version reads {PENDING_FORMAT}."
            )
        root = folder / _FILES
        paths = sorted(p for p in root.rglob("*") if p.is_file())
        files = {p.relative_to(root).as_posix(): p.read_bytes() for p in paths}
        record = Record.from_dict(content, files)
        return Pending(folder, record, content["run_id"], content["problem"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{folder} is no pending run, or a damaged one: {error!r}.") from error


def find(place: Path) -> list[Path]:
    """Return the folders of records at a bundle, in a pending folder, or anywhere below a folder; the oldest first."""
    place = place.absolute()
    beside = pending_folder(place)
    roots = [beside] if beside.is_dir() else [place]
    found = {p.parent for root in roots for p in root.rglob(f"*.pending/*/{_RECORD}")}
    found |= {p.parent for root in roots if root.suffix == ".pending" for p in root.glob(f"*/{_RECORD}")}
    if (place / _RECORD).is_file():
        found.add(place)
    kept = [p for p in found if not p.name.startswith(".")]
    return sorted(kept, key=lambda p: ((p / _RECORD).stat().st_mtime_ns, p.name))


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Say whether this process alone works on a record; another's hold ends with that process, however it ends."""
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False  # another process has sent it in between
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield (folder / _RECORD).is_file()
    finally:
        os.close(handle)
