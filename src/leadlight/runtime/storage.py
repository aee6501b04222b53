"""A handful of named files, written and read as one: a folder, or one .zip of it.

Writing is atomic. The files go to a temporary sibling first and are flushed to disk. A new folder is then renamed into
place. An old one is renamed aside, to ``.NAME.previous``, before that, and removed after it. A process killed at any
moment leaves the old files or the new ones: in the moment between the two renames the old ones are aside, and `read_files`
finds them there.

A killed process also leaves its temporary sibling, ``.NAME.`` and 16 hex digits. Who writes holds a lock on it, which ends
with the process, so the next save to the same place knows which ones to remove. Where there are no such locks they stay.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from leadlight.errors import BundleError, InputError
from leadlight.runtime.archive import FIRST, NAME, Files, read_zip, too_large, zipped

__all__ = ["FIRST", "NAME", "Files", "read_files", "write_files"]

_ATTEMPTS: Final = 20
_RANDOM_BYTES: Final = 8
_RANDOM: Final = re.compile(rf"[0-9a-f]{{{2 * _RANDOM_BYTES}}}")
_ZIP: Final = "bundle.zip"


class _ReplacedError(Exception):
    """The folder was replaced while it was read."""


class _TakenError(Exception):
    """Another process has the folder."""


def write_files(files: Files, path: str | os.PathLike[str]) -> None:
    """Write the files to a folder, or to one file if the path ends in ".zip"; an old bundle is replaced whole.

    Raises
    ------
    InputError
        The path holds something else than a bundle: it is not deleted.
    OSError
        The disk is full or may not be written; what was there is still there.
    """
    target = Path(os.path.realpath(path))
    _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_strays(target)
    with _temporary(target) as folder:
        if target.suffix.lower() == ".zip":
            _write_file(folder / _ZIP, zipped(files))
            (folder / _ZIP).replace(target)
        else:
            for name, data in files.items():
                _write_file(folder / name, data)
            _flush(folder)
            _swap(folder, target)
        _flush(target.parent)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Make a folder beside the target, locked while it is in use."""
    for _ in range(_ATTEMPTS):
        folder = target.parent / f".{target.name}.{secrets.token_hex(_RANDOM_BYTES)}"
        folder.mkdir()
        try:
            lock = _lock(folder)
        except _TakenError:
            continue
        try:
            yield folder
        finally:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                if lock is not None:
                    os.close(lock)
        return
    raise OSError(errno.EBUSY, "other processes keep removing what is written", str(target.parent))


def _lock(folder: Path) -> int | None:
    """Return a handle that holds the lock on a folder, None where there are no locks.

    Raises
    ------
    _TakenError
        Somebody else has it, or has removed the folder.
    """
    if fcntl is None:
        return None
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _opened(handle) == _identity(folder):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        # Some network file systems have no locks: nobody can tell there whether a folder is still in use.
        if handle is not None:
            os.close(handle)
        return None
    if handle is not None:
        os.close(handle)
    raise _TakenError


def _clear_strays(target: Path) -> None:
    """Remove what killed processes left of their saves to this place."""
    with suppress(OSError), os.scandir(target.parent) as entries:
        prefix = f".{target.name}."
        for entry in entries:
            if not (entry.name.startswith(prefix) and _RANDOM.fullmatch(entry.name[len(prefix) :])):
                continue
            if not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(_TakenError):
                lock = _lock(Path(entry.path))
                if lock is not None:
                    shutil.rmtree(entry.path, ignore_errors=True)
                    os.close(lock)


def _swap(temporary: Path, target: Path) -> None:
    aside = _aside(target)
    for _ in range(_ATTEMPTS):
        try:
            if target.exists():
                _remove(aside)
                target.rename(aside)
            temporary.rename(target)
        except OSError as error:
            # Somebody else saves to the same place: theirs is now the old one, or already aside.
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) and temporary.exists():
                continue
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        _remove(aside)
        return
    raise _busy(target)


def _busy(target: Path) -> OSError:
    return OSError(errno.EBUSY, "other processes keep saving to the same place", str(target))


def _remove(folder: Path) -> None:
    # The manifest goes first: a reader that finds one knows that nothing was gone before.
    (folder / FIRST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.parent / f".{target.name}.previous"


def _check_replaceable(target: Path) -> None:
    if target.suffix.lower() == ".zip":
        if target.is_dir() or (target.exists() and not zipfile.is_zipfile(target)):
            raise InputError(f"{target} is there and is no bundle; it is left as it is. Choose another path.")
        return
    for _ in range(_ATTEMPTS):
        before = _identity(target)
        if before is None:
            return
        try:
            names = [entry.name for entry in target.iterdir()]
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            names = [target.name]
        foreign = sorted(name for name in names if NAME.fullmatch(name) is None)
        if not foreign and (not names or FIRST in names):
            return
        # Somebody else who saves to the same place may just have put the old one aside, where it loses its files.
        if _identity(target) == before:
            raise InputError(
                f"{target} is there and holds more than a bundle ({', '.join(foreign[:3]) or 'no ' + FIRST}); "
                "it is left as it is. Choose another path."
            )
    raise _busy(target)


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Flush the names in a folder to disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_files(path: str | os.PathLike[str], max_bytes: int) -> Files:
    """Read the files of a bundle, never more than `max_bytes` of them.

    Raises
    ------
    BundleError
        There is nothing, it cannot be read, is larger, or is no folder and no zip.
    """
    target = Path(path)
    for _ in range(_ATTEMPTS):
        before = _identity(target)
        try:
            return _read(target, max_bytes)
        except _ReplacedError:
            continue
        except BundleError:
            # Just being replaced: once more.
            if _identity(target) == before:
                raise
        except Exception as error:  # damaged archives raise a dozen kinds
            raise BundleError(
                f"{target} cannot be read as a bundle: {error!r}. Copy or save it again."
            ) from error
    raise BundleError(f"{target} is being replaced again and again; try later.")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _read(target: Path, max_bytes: int) -> Files:
    try:
        kind = target.stat().st_mode
    except (OSError, ValueError) as error:
        aside = _aside(Path(os.path.realpath(target)))
        if isinstance(error, FileNotFoundError) and aside.is_dir():
            files = _read_folder(aside, max_bytes)
            # What is aside is removed once the new one is in place.
            if FIRST not in files:
                raise _ReplacedError from error
            return files
        raise BundleError(
            f"There is no bundle at {target}: {error}. Give the folder or .zip that save() wrote."
        ) from error
    if stat.S_ISDIR(kind):
        return _read_folder(target, max_bytes)
    if stat.S_ISREG(kind):
        return read_zip(target, max_bytes)
    raise BundleError(f"{target} is neither a folder nor a file.")


def _read_folder(folder: Path, max_bytes: int) -> Files:
    """Read a folder as it is now: an open folder stays the same one when another takes its name."""
    try:
        handle = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
        try:
            return _read_open_folder(folder, handle, max_bytes)
        finally:
            if handle is not None:
                os.close(handle)
    except FileNotFoundError as error:
        raise _ReplacedError from error
    except OSError as error:
        raise BundleError(f"The bundle at {folder} cannot be read: {error}.") from error


def _read_open_folder(folder: Path, handle: int | None, max_bytes: int) -> Files:
    def names() -> list[str]:
        with os.scandir(folder if handle is None else handle) as entries:
            return sorted(entry.name for entry in entries if NAME.fullmatch(entry.name))

    def place(name: str) -> str:
        return str(folder / name) if handle is None else name

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, dir_fd=handle)

    found = names()
    size = 0
    for name in found:
        status = os.stat(place(name), dir_fd=handle)
        # A pipe or a device would block, or never end.
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{name} in {folder} is no plain file.")
        size += status.st_size
    if size > max_bytes:
        raise too_large(folder, max_bytes)
    files: Files = {}
    left = max_bytes
    for name in found:
        with open(place(name), "rb", opener=opener) as file:
            data = file.read(left + 1)
        if len(data) > left:
            raise too_large(folder, max_bytes)
        left -= len(data)
        files[name] = data
    # A folder that is being removed loses its manifest first.
    if names() != found or (
        FIRST not in found and handle is not None and _identity(folder) != _opened(handle)
    ):
        raise _ReplacedError
    return files


def _opened(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino
