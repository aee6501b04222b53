"""The files of a bundle in one .zip: written alike every time, read without trusting what the archive says of itself.

Nothing is unpacked to disk, so no name in an archive can lead anywhere. Read are files that `NAME` matches, beside the one
manifest; other files are passed over.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401 - zipfile would import it while it reads names, and loading imports nothing
import io
import re
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

from leadlight.errors import BundleError

Files = dict[str, bytes]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}\.(?:json|npy)")
"""What a file of a bundle may be called; no path fits."""

FIRST: Final = "manifest.json"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_DIRECTORY: Final = 1 << 20
"""Bytes of the list of files. zipfile reads all of it before it can be asked anything, and takes ten times as much memory."""

_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_TAIL: Final = (1 << 16) + _END_BYTES + _LOCATOR_BYTES


def zipped(files: Files) -> bytes:
    """Return the files as a .zip; equal files give equal bytes wherever zlib compresses alike."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def read_zip(path: Path, max_bytes: int) -> Files:
    """Return the files of the one bundle in a .zip, never more than `max_bytes` of them.

    Raises
    ------
    BundleError
        It is larger, holds no bundle or several, a file twice, or one that is encrypted or compressed in an unusual way.
    zipfile.BadZipFile, OSError, ValueError and others
        It is damaged; `storage.read_files` makes a BundleError of them.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size > max_bytes:
            raise too_large(path, max_bytes)
        _check_directory(file, size, path)
        with zipfile.ZipFile(file) as archive:
            return _read(archive, path, max_bytes)


def _read(archive: zipfile.ZipFile, path: Path, max_bytes: int) -> Files:
    entries = [(info, info.filename.rpartition("/")) for info in archive.infolist() if not info.is_dir()]
    folders = [parent for _, (parent, _, name) in entries if name == FIRST]
    if len(folders) != 1:
        raise BundleError(f"{path} holds {len(folders)} files {FIRST}; a .zip of one bundle is read.")
    chosen = [
        (info, name)
        for info, (parent, _, name) in entries
        if parent == folders[0] and NAME.fullmatch(name) is not None
    ]
    if sum(info.file_size for info, _ in chosen) > max_bytes:
        raise too_large(path, max_bytes)
    if min(info.header_offset for info in archive.infolist()) != 0:
        raise BundleError(f"{path} does not begin with a file: something stands before the archive.")
    files: Files = {}
    left = max_bytes
    for info, name in chosen:
        if name in files:
            raise BundleError(f"{path} holds {name} twice.")
        if info.compress_type not in _METHODS or info.flag_bits & 1:
            raise BundleError(f"{name} in {path} is encrypted, or compressed in another way than deflate.")
        # The announced size may lie: no more is unpacked than there is room for.
        with archive.open(info) as file:
            data = file.read(left + 1)
        if len(data) > left:
            raise too_large(path, max_bytes)
        left -= len(data)
        files[name] = data
    return files


def _check_directory(file: BinaryIO, size: int, path: Path) -> None:
    """Refuse a list of files that is longer than that of any bundle, at both places where zipfile looks for its end."""
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    for at in {len(tail) - _END_BYTES, tail.rfind(_END)}:
        if at < 0 or tail[at : at + 4] != _END:
            continue
        announced = int.from_bytes(tail[at + 12 : at + 16], "little")
        # A bundle of more than 4 GB, which needs the 64-bit record before the end, is none.
        if announced > _MOST_DIRECTORY or tail[max(at - _LOCATOR_BYTES, 0) : at].startswith(_LOCATOR):
            raise BundleError(f"{path} lists more files than a bundle has.")


def too_large(path: Path, max_bytes: int) -> BundleError:
    """Return the error for a bundle that is larger than allowed."""
    return BundleError(f"{path} is larger than {max_bytes} bytes. If it may be, pass a larger max_bytes.")
