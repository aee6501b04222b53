"""JSON lines, plain or gzipped, one object at a time; lines that cannot be used are counted, sampled and saved."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from leadlight.community.reading import open_packed
from leadlight.community.tables import SAMPLE
from leadlight.errors import InputError

LONGEST_LINE_BYTES = 1 << 20  # a call holds at most 32 kB by its specification; a longer line is no call


class Line(NamedTuple):
    """One line: its number over all files (from 0), where it stands, its text, and its object if it holds one."""

    number: int
    file: str
    text: str
    call: dict[str, Any] | None
    fault: str = ""


class Refused:
    """Lines that cannot be used, by reason.

    Parameters
    ----------
    save : path-like, optional
        File that takes every such line, as JSON lines with its file, number, reason and text. It is replaced when the
        reading has ended.
    strict : bool
        Raise at the first.
    """

    def __init__(self, save: str | os.PathLike[str] | None = None, *, strict: bool = False) -> None:
        self.found: dict[str, tuple[int, list[int]]] = {}
        self._strict = strict
        self._path = self._unfinished = None
        self._file: IO[str] | None = None
        if save is not None:
            self._path = Path(save)
            self._unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            self._file = self._unfinished.open("w", encoding="utf-8")

    def add(self, line: Line, reason: str) -> None:
        """Count a line and save it."""
        if self._strict:
            raise InputError(f"{line.file}, line {line.number}: {reason}: {line.text[:200]!r}.")
        self.count(line, reason)
        if self._file is not None:
            said = {"file": line.file, "line": line.number, "reason": reason, "text": line.text}
            self._file.write(json.dumps(said) + "\n")

    def count(self, line: Line, reason: str) -> None:
        """Count a line that is left out through no fault of its own."""
        count, sample = self.found.get(reason, (0, []))
        self.found[reason] = (count + 1, [*sample, line.number] if len(sample) < SAMPLE else sample)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Put the saved lines in their place, an empty file if there was none; after an error leave nothing."""
        if self._file is None or self._unfinished is None or self._path is None:
            return
        self._file.close()
        if kind is None:
            os.replace(self._unfinished, self._path)
        else:
            self._unfinished.unlink(missing_ok=True)


def read_lines(files: list[str]) -> Iterator[Line]:
    """Yield every line that is not empty; one that holds no JSON object says why in `fault`."""
    number = -1
    for file in files:
        try:
            with open_packed(file, "rb") as stream:
                while raw := stream.readline(LONGEST_LINE_BYTES):
                    number += 1
                    if len(raw) == LONGEST_LINE_BYTES and not raw.endswith(b"\n"):
                        while (rest := stream.readline(LONGEST_LINE_BYTES)) and not rest.endswith(b"\n"):
                            pass
                        start = raw[:200].decode("utf-8", "replace")
                        yield Line(number, file, start, None, "longer than a line may be")
                    elif raw.strip():
                        yield _parsed(number, file, raw)
        except (OSError, EOFError) as error:
            raise InputError(f"{file} cannot be read: {error}") from error


def _parsed(number: int, file: str, raw: bytes) -> Line:
    try:
        text = raw.decode("utf-8-sig" if number == 0 else "utf-8").strip()
    except UnicodeDecodeError:
        return Line(number, file, raw.decode("utf-8", "replace"), None, "not UTF-8")
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return Line(number, file, text, None, "not JSON")
    if not isinstance(call, dict):
        return Line(number, file, text, None, "no JSON object")
    if "\\u" in text and not _is_unicode(call):
        return Line(number, file, text, None, "half a character")
    return Line(number, file, text, call)


def _is_unicode(call: Any) -> bool:
    """Whether every text can be written: JSON may escape one half of a pair alone."""
    try:
        json.dumps(call, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
