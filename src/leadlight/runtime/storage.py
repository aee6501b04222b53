"""A handful of named files, written and read as one: a folder, or one .zip of it.

Writing is atomic. The files go to a temporary sibling first and are flushed to disk. A new folder is then renamed into
place. An old one is renamed aside, to ``.NAME.previous``, before that, and removed after it. A process killed at any
moment leaves the old files or the new ones: in the moment between the two renames the old ones are aside, and `read_files`
finds them there.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Final

from leadlight.errors import BundleError, InputError

Files = dict[str, bytes]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}\.(?:json|npy)")
"""What a file of a bundle may be called; no path fits."""

FIRST: Final = "manifest.json"

_ATTEMPTS: Final = 20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class _ReplacedError(Exception):
    """The folder was replaced while it was read."""


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
    temporary = target.parent / f".{target.name}.{secrets.token_hex(8)}"
    try:
        if target.suffix.lower() == ".zip":
            _write_file(temporary, _zipped(files))
            temporary.replace(target)
        else:
            temporary.mkdir()
            for name, data in files.items():
                _write_file(temporary / name, data)
            _flush(temporary)
            _swap(temporary, target)
        _flush(target.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _swap(temporary: Path, target: Path) -> None:
    aside = _aside(target)
    for _ in range(_ATTEMPTS):
        if target.exists():
            _remove(aside)
            target.rename(aside)
        try:
            temporary.rename(target)
        except OSError as error:
            # Somebody else saved to the same place in between: theirs is now the old one.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                if aside.exists() and not target.exists():
                    aside.rename(target)
                raise
            continue
        _remove(aside)
        return
    raise OSError(errno.EBUSY, "other processes keep saving to the same place", str(target))


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
    if not target.exists():
        return
    names = [entry.name for entry in target.iterdir()] if target.is_dir() else [target.name]
    foreign = sorted(name for name in names if NAME.fullmatch(name) is None)
    if foreign or (names and FIRST not in names):
        raise InputError(
            f"{target} is there and holds more than a bundle ({', '.join(foreign[:3]) or 'no ' + FIRST}); "
            "it is left as it is. Choose another path."
        )


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


def _zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


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
            return _read_folder(aside, max_bytes)
        raise BundleError(
            f"There is no bundle at {target}: {error}. Give the folder or .zip that save() wrote."
        ) from error
    if stat.S_ISDIR(kind):
        return _read_folder(target, max_bytes)
    if stat.S_ISREG(kind):
        return _read_zip(target, max_bytes)
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
        raise _too_large(folder, max_bytes)
    files: Files = {}
    left = max_bytes
    for name in found:
        with open(place(name), "rb", opener=opener) as file:
            data = file.read(left + 1)
        if len(data) > left:
            raise _too_large(folder, max_bytes)
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


def _read_zip(path: Path, max_bytes: int) -> Files:
    files: Files = {}
    left = max_bytes
    if path.stat().st_size > max_bytes:
        raise _too_large(path, max_bytes)
    with zipfile.ZipFile(path) as archive:
        entries = [(info, info.filename.rpartition("/")) for info in archive.infolist() if not info.is_dir()]
        folders = {parts[0] for _, parts in entries if parts[2] == FIRST}
        if len(folders) != 1:
            raise BundleError(f"{path} holds {len(folders)} bundles; a .zip of one bundle is read.")
        folder = folders.pop()
        if sum(info.file_size for info, _ in entries) > max_bytes:
            raise _too_large(path, max_bytes)
        for info, (parent, _, name) in entries:
            if parent != folder or NAME.fullmatch(name) is None:
                continue
            if name in files:
                raise BundleError(f"{path} holds {name} twice.")
            # The announced size may lie: no more is unpacked than there is room for.
            with archive.open(info) as file:
                data = file.read(left + 1)
            if len(data) > left:
                raise _too_large(path, max_bytes)
            left -= len(data)
            files[name] = data
    return files


def _too_large(path: Path, max_bytes: int) -> BundleError:
    return BundleError(f"{path} is larger than {max_bytes} bytes. If it may be, pass a larger max_bytes.")
