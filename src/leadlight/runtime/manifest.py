"""manifest.json: what a bundle says of itself and of its other files, as text that shows every edit.

Formats
-------
1
    The sha256 of every other file.
2
    Also its own, in `SEAL`: the sha256 of the text with 64 zeros in that place.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from leadlight.errors import BundleError
from leadlight.runtime.archive import FIRST

FORMAT: Final = 2
"""What is written. All formats from 1 on are read."""

SEAL: Final = "manifest_sha256"
LEVELS: Final = "levels"

MODEL_KEYS: Final = frozenset(
    {"format", "plan_digest", "columns", "weights", "linear_intercept", "calibration", "decision", "files"}
)
INFO_TYPES: Final[Mapping[str, type]] = {
    "library_version": str,
    "data_fingerprint": str,
    "estimand": str,
    "simulated": bool,
    "windows": dict,
    "metrics": dict,
}
OWN: Final = (MODEL_KEYS | {LEVELS, SEAL}) - {"decision"}
"""What the bundle writes itself; the rest is the caller's."""

_TYPES: Final[Mapping[str, type]] = {
    **INFO_TYPES,
    "plan_digest": str,
    "columns": list,
    "weights": dict,
    "calibration": dict,
    "decision": dict,
    "files": dict,
}
_SEALED_FROM: Final = 2


def write_manifest(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest as canonical JSON, with its seal."""
    text = json.dumps({**manifest, SEAL: _blank()}, sort_keys=True, indent=1, allow_nan=False) + "\n"
    data = text.encode()
    return data.replace(_line(_blank()), _line(hashlib.sha256(data).hexdigest()))


def read_manifest(data: bytes, *, check_seal: bool) -> dict[str, Any]:
    """Return the manifest, after checking its format, its names, the types of their values, and its seal.

    Raises
    ------
    BundleError
        It is no manifest, of a newer format, damaged or edited.
    """
    try:
        manifest: dict[str, Any] = read_json(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{FIRST} is no JSON: {error}. Copy or save the bundle again.") from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise BundleError(f"{FIRST} names no format: this is no bundle, or a damaged one.")
    if found > FORMAT:
        raise BundleError(
            f"The bundle has format {found}; this version reads up to {FORMAT}. Install a newer leadlight."
        )
    lacking = sorted((MODEL_KEYS | set(INFO_TYPES)) - set(manifest))
    if found >= _SEALED_FROM and SEAL not in manifest:
        lacking.append(SEAL)
    if lacking:
        raise BundleError(f"{FIRST} lacks {lacking}. Copy or save the bundle again.")
    wrong = sorted(name for name, kind in _TYPES.items() if type(manifest[name]) is not kind)
    if wrong or not all(isinstance(v, str) for v in (*manifest["columns"], *manifest["files"].values())):
        raise BundleError(
            f"{FIRST} holds values of the wrong type: {wrong or ['columns, files']}. Copy or save the bundle again."
        )
    if check_seal and SEAL in manifest:
        _check_seal(data, manifest[SEAL])
    return manifest


def read_json(data: bytes) -> Any:
    """Return what JSON text says; ValueError where it is none, or holds a number that is not finite."""
    return json.loads(data, parse_constant=_no_constant, parse_float=_finite)


def _check_seal(data: bytes, seal: Any) -> None:
    line = _line(seal)
    if data.count(line) != 1 or hashlib.sha256(data.replace(line, _line(_blank()))).hexdigest() != seal:
        raise BundleError(f"{FIRST} is damaged or was edited. Copy or save the bundle again.")


def _line(seal: Any) -> bytes:
    # With the line's beginning: no other level of the text, and no string in it, has it.
    return f'\n "{SEAL}": "{seal}"'.encode()


def _blank() -> str:
    return "0" * 64


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
