"""What a bundle says of the model that it holds: plain data, nothing of a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadlight._version import __version__
from leadlight.community import Community
from leadlight.observations import Observations
from leadlight.observations.windows import NOT_LABELLED
from leadlight.qualifier.typical import typical

if TYPE_CHECKING:
    from leadlight.qualifier.qualifier import LeadQualifier


def model_info(
    qualifier: LeadQualifier, community: Community, rows: Observations, text: str = ""
) -> dict[str, Any]:
    """Return what a fitted qualifier writes beside its model.

    Parameters
    ----------
    qualifier : LeadQualifier
        With everything set but its scorer.
    community : Community
    rows : Observations
        What it was fitted on.
    text : str
        The decision in one sentence; by default the decision's own.
    """
    windows = qualifier.windows_
    learned: dict[str, Any] = {"positive_groups": 0}
    if hasattr(qualifier, "classifier_"):
        learned = {
            "positive_groups": int(qualifier.classifier_.n_positive_groups_),
            "blend_weight": float(qualifier.classifier_.blend_weight_),
        }
    directions = {"monotone": dict(qualifier.monotone)} if qualifier.monotone else {}
    return {
        "library_version": __version__,
        "data_fingerprint": community.fingerprint,
        "decision": {
            "kind": qualifier.decision_.kind,
            "parameters": qualifier.decision_.to_dict(),
            "threshold": qualifier.threshold_,
            "text": text or qualifier.decision_.describe(qualifier.threshold_),
            "price": qualifier.decision_report_.to_dict(),
        },
        "estimand": qualifier.estimand_,
        "selection": qualifier.selection_,
        "selection_why": qualifier.selection_report_["why"],
        "selection_report": qualifier.selection_report_,
        **directions,
        "by_account": qualifier.by_account,
        "topics": list(qualifier.topics_),
        "simulated": community.simulated,
        "typical": typical(qualifier.training_[0], rows.cutoff_us == rows.cutoff_us.max()),
        "windows": {
            "horizon_us": windows.horizon_us,
            "gap_us": windows.gap_us,
            "active_within_us": windows.active_within_us,
            "enters_on": list(windows.enters_on),
            "cool_off_us": windows.cool_off_us,
            "trained_until_us": qualifier.trained_until_us_,
        },
        "metrics": {
            "training_rows": len(rows),
            "training_positives": int((rows.frame["label"] == 1).sum()),
            "open_windows": int((rows.frame["label"] == NOT_LABELLED).sum()),
            **learned,
        },
    }
