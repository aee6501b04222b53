"""Load a bundle and score a few members; print the answers as JSON. Fails if the training stack gets imported.

Run by `make lean` with and without the training stack installed; the answers must be equal, digit for digit.
"""

import json
import sys

import leadlight as ll

TRAINING_STACK = ("pandas", "sklearn", "lightgbm", "shap", "mlflow", "joblib", "pyarrow", "duckdb", "scipy")
AT = "2026-01-05"
BUSY = [
    {"occurred_at": "2025-10-06T09:00:00", "action": "view"},
    {"occurred_at": "2025-12-22T10:30:00", "action": "question", "tags": ["pricing"]},
    {"occurred_at": "2025-12-30T11:00:00", "action": "connect", "other_role": "customer"},
    {"occurred_at": "2026-01-05T00:00:00", "action": "question"},  # at the cutoff: must not count
]


def main(bundle: str) -> None:
    """Score, check what can be checked without the training stack, and print."""
    scorer = ll.load(bundle)
    answers = {
        "no history": scorer.predict([], at=AT).to_dict(),
        "busy": scorer.predict(BUSY, at=AT, reasons=3).to_dict(),
        "busy, told before the cutoff": scorer.predict(BUSY[:-1], at=AT, reasons=3).to_dict(),
    }
    imported = [name for name in TRAINING_STACK if name in sys.modules]
    if imported:
        sys.exit(f"load and predict imported {', '.join(imported)}; they may need numpy and nothing else")
    if not answers["no history"]["cold_start"] or answers["busy"]["cold_start"]:
        sys.exit(f"cold_start is wrong: {answers}")
    if answers["busy"] != answers["busy, told before the cutoff"]:
        sys.exit(f"an event at the cutoff changed the answer: {answers}")
    if not all(0 < answer["probability"] < 1 for answer in answers.values()):
        sys.exit(f"a probability is not between 0 and 1: {answers}")
    print(json.dumps(answers, sort_keys=True, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
