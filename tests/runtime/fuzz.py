"""Bundles damaged in four ways, each loaded in a forked child of its own: refused by BundleError, or sound.

    python -m tests.runtime.fuzz BUNDLE DONOR --kind flipped --first 0 --count 1000

Every bundle is tried as a folder and as a .zip (even numbers: of the damaged files; odd ones: the archive itself is damaged),
with the native and the reference kernels, with hash checks, without them, and with hashes that were made to fit the damage. A
child may use ten seconds and 512 MB. Prints how many were refused and how many were sound; what went wrong ends it with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from leadlight.errors import BundleError
from leadlight.kernels.native import extension
from leadlight.plan import Plan
from leadlight.runtime import Scorer, load
from leadlight.runtime.archive import zipped
from leadlight.runtime.golden import golden_rows
from leadlight.runtime.manifest import SEAL, write_manifest
from leadlight.runtime.npy import from_npy
from leadlight.runtime.storage import read_files

KINDS = ("truncated", "flipped", "edited", "spliced")
MODES = ("hashes", "no hashes", "hashes made to fit")
SECONDS, MEGABYTES = 10, 512
MOST = 64 << 20

FLOATS = (np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 0.5, 3.0, 1e308, -1e308, 5e-324, 2.0**31, 2.0**53, 1e-35)
INTEGERS = (0, 1, -1, 2, 7, 12, 255, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
IN_TEXT = ("-1", "0", "1", "2", "0.5", "-0.0", "1e308", "1e999", "-1e999", "5e-324", "2147483648", "1e400")
IN_TEXT += (
    "9223372036854775808",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '"x"',
    "[[1]]",
    "9" * 40,
    "9" * 5000,
)
NUMBER = re.compile(rb"(?<![\w.\"])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

EVENTS = [
    {"occurred_at": "2024-03-01T10:00:00", "action": "question", "tags": ["visa", "c++"]},
    {"occurred_at": "2024-03-09", "action": "view", "other_role": "customer", "duration_s": 30.0},
]


def damaged(original, donor, kind, rng):
    """Return the files with one kind of damage, done once or a few times."""
    files = original
    while files == original:
        files = damaged_once(dict(original), donor, kind, rng)
    return files


def damaged_once(files, donor, kind, rng):
    """Damage the files, unless luck has it that nothing changes."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        # Two files of text among twenty arrays, and the ones with the most ways to be wrong.
        text = [name for name in sorted(files) if name.endswith(".json")]
        name = str(rng.choice(text if text and rng.random() < 0.4 else sorted(files)))
        data = bytearray(files[name])
        at = int(rng.integers(len(data) + 1))
        if kind == "truncated":
            if rng.random() < 0.1 and len(files) > 1:
                del files[name]
                continue
            data = data[:at] if rng.random() < 0.8 else data[at:]
        elif kind == "flipped":
            for _ in range(int(rng.integers(1, 4))):
                if data:
                    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        elif kind == "edited":
            data = edited(bytes(data), name, rng)
        else:
            data = spliced(files, donor, name, at, rng)
        files[name] = bytes(data)
    return files


def edited(data, name, rng):
    """Change one number: of an array, of its header, or of JSON."""
    header = 128 if len(data) >= 128 else 0
    if name.endswith(".npy") and header and len(data) > header and rng.random() < 0.8:
        try:
            array = from_npy(data, name).copy()
        except BundleError:
            return data
        flat = array.reshape(-1)
        at, source = rng.integers(len(flat), size=2)
        if rng.random() < 0.3:
            flat[at] = flat[source]
        elif array.dtype.kind == "f":
            flat[at] = rng.choice([*FLOATS, flat[at] * 2, np.nextafter(flat[at], 9.0), -flat[at]])
        else:
            value = [*INTEGERS, int(flat[at]) + 1, int(flat[at]) - 1, len(flat), ~int(flat[at])]
            flat[at] = np.array(value[rng.integers(len(value))] % 2**64, np.uint64).astype(array.dtype)
        return data[:header] + flat.tobytes()
    found = list(NUMBER.finditer(data[:header] if header and name.endswith(".npy") else data))
    if not found:
        return data
    number = found[rng.integers(len(found))]
    return data[: number.start()] + str(rng.choice(IN_TEXT)).encode() + data[number.end() :]


def spliced(files, donor, name, at, rng):
    """Put a part of another file, or of another bundle, into this one."""
    other = donor if rng.random() < 0.5 else files
    same = name in other and rng.random() < 0.6
    source = other[name if same else str(rng.choice(sorted(other)))]
    data = files[name]
    start, end = sorted(rng.integers(len(source) + 1, size=2).tolist())
    how = rng.integers(4)
    if how == 0:
        return source
    if how == 1:
        return data[:at] + source[at:]
    if how == 2:
        return data[:at] + source[start:end] + data[at:]
    return data[:at] + source[start:end] + data[at + end - start :]


def made_to_fit(files):
    """Give plan and files the hashes that they have now, as somebody would who edits a bundle on purpose."""
    try:
        manifest = json.loads(files["manifest.json"])
        manifest["files"] = {n: hashlib.sha256(files[n]).hexdigest() for n in manifest["files"] if n in files}
        manifest["plan_digest"] = Plan.from_dict(json.loads(files["plan.json"])).digest
        manifest.pop(SEAL, None)
        return files | {"manifest.json": write_manifest(manifest)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def check(path, mode, saved):
    """Return "refused" or "sound"; anything else raises."""
    try:
        scorer = load(path, check_hashes=mode != "no hashes", max_bytes=MOST)
    except BundleError:
        return "refused"
    if mode == "hashes":
        # Damage to what is no content of an archive, such as a date, leaves a bundle that was saved.
        assert scorer._bundle in saved, "damage was not seen"
    golden = from_npy(scorer._bundle["golden_x.npy"], "golden_x.npy")
    said = from_npy(scorer._bundle["golden_log_odds.npy"], "golden_log_odds.npy")
    again = scorer.model.log_odds(golden)
    assert (np.abs(again - said) <= 1e-9 * np.maximum(1.0, np.abs(said))).all(), "golden rows differ"
    width = len(scorer.columns)
    extremes = [np.full(width, v) for v in (np.nan, 0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 5e-324, 2.0**31)]
    check_rows(scorer, np.vstack([golden_rows(scorer.columns), *extremes]))
    if scorer.plan.columns:
        for events in ([], EVENTS):
            check_prediction(scorer.predict(events, at="2024-04-01"))
    return "sound"


def check_rows(scorer: Scorer, X):
    """Raise unless every answer to the rows is finite, and probabilities lie where they must."""
    log_odds = scorer.model.log_odds(X)
    assert np.isfinite(log_odds).all(), "log-odds are not finite"
    p, low, high = scorer.model.scores(X)
    assert ((p >= 0) & (p <= 1)).all(), "no probability"
    assert (np.isnan(low) | (low <= p)).all(), "low is above"
    assert (np.isnan(high) | (high >= p)).all(), "high is below"
    values, base = scorer.model.contributions(X)
    assert np.isfinite(values).all(), "a contribution is not finite"
    scale = 1e-6 * np.maximum(1.0, np.abs(values).sum(axis=1) + abs(base))
    assert (np.abs(base + values.sum(axis=1) - log_odds) <= scale).all(), "contributions do not add up"
    if scorer.plan.columns:
        for row in scorer.predict_rows(X[:4]):
            check_prediction(row)


def check_prediction(found):
    """Raise unless a prediction is one that an application can use."""
    json.dumps(found.to_dict(), allow_nan=False)
    assert 0.0 <= found.probability <= 1.0, "no probability"
    assert all(isinstance(r.text, str) and np.isfinite(r.contribution) for r in found.reasons), "no reason"


def tried(number, kind, original, donor, folder):
    """Try one damaged bundle in every form, mode and kernel; return how often it was refused and sound."""
    rng = np.random.default_rng([number, KINDS.index(kind)])
    files = damaged(original, donor, kind, rng)
    forms = {"folder": files}
    if number % 2 == 0:
        forms["files.zip"] = files
    else:
        whole = {"m": zipped(original)}
        forms["archive.zip"] = damaged(whole, {"m": zipped(donor)}, kind, rng).get("m", b"")
    counts = Counter()
    for name, content in forms.items():
        for mode in MODES:
            fits = content if mode != MODES[2] else None
            if mode == MODES[2] and isinstance(content, dict):
                fits = made_to_fit(content)
            if fits is None:
                continue
            path = write(folder / f"{MODES.index(mode)}{name}", fits)
            for kernels in ("native", "reference") if extension() is not None else ("reference",):
                os.environ["LEADLIGHT_KERNELS"] = kernels
                try:
                    counts[f"{mode}: {check(path, mode, (original, donor))}"] += 1
                except BaseException as error:
                    error.add_note(f"{kind} {number} as {name}, {mode}, {kernels} kernels")
                    raise
    return counts


def write(path, content):
    """Write files to a folder or a .zip, and bytes as they are."""
    if isinstance(content, dict) and path.suffix != ".zip":
        path.mkdir()
        for name, data in content.items():
            (path / name).write_bytes(data)
    else:
        path.write_bytes(zipped(content) if isinstance(content, dict) else content)
    return path


def in_child(work, *, limit_memory):
    """Run in a forked child with little time and memory; return its counts, or None and what happened."""
    import resource  # not on Windows, where nothing is forked

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            signal.alarm(3 * SECONDS)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if limit_memory:
                pages = int(Path("/proc/self/statm").read_text().split()[0])
                most = pages * resource.getpagesize() + (MEGABYTES << 20)
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            answer = json.dumps(work()).encode()
            code = 0
        except BaseException:  # noqa: BLE001 - told to the parent
            answer = traceback.format_exc().encode()
        os.write(writing, answer[-60_000:])
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return Counter(json.loads(answer)), ""
    return None, answer.decode(errors="replace") or f"ended with {code}"


def main():
    """Try the bundles that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "bundles", nargs="+", help="the last one gives parts for splices, the others are damaged in turn"
    )
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--any-memory", action="store_true", help="for sanitizers, which reserve terabytes")
    asked = parser.parse_args()
    *originals, donor = [read_files(path, MOST) for path in asked.bundles]
    counts, wrong = Counter(), []
    for kind in asked.kind or KINDS:
        for number in range(asked.first, asked.first + asked.count):
            original = originals[number // 2 % len(originals)]
            folder = Path(tempfile.mkdtemp())
            try:
                found, problem = in_child(
                    lambda: tried(number, kind, original, donor, folder),  # noqa: B023 - called at once
                    limit_memory=not asked.any_memory,
                )
            finally:
                shutil.rmtree(folder)
            if found is None:
                wrong.append(f"== {kind} {number}\n{problem}")
            else:
                counts.update({f"{kind}, {what}": n for what, n in found.items()})
    print(json.dumps(counts, indent=1))
    print("\n".join(wrong[:20]), file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
