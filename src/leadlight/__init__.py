"""Who in your community will buy: a call list, a reason for each name, and how many buyers it misses.

Three nouns are enough to begin: a *community* (the log of what its members did), *deals* (what sales won and lost), and
*leads* (who to approach next, and why)::

    import leadlight as ll

    community = ll.Community(activity="activity.csv", deals="deals.csv")
    print(
        community, community.rejects, community.matches
    )  # what was read, what was not, whose deals were found
    leads = ll.qualify(community, top=40)
    print(leads)  # the call list, and how well it tells
    leads.qualifier.save("models/mine")

The log has the columns ``member_id``, ``occurred_at``, ``action`` and, if you have them, ``email``, ``tags`` and others; the deals
``email`` (or ``domain``, ``member_id``, ``account_id``), ``outcome`` and ``closed_at``. Where yours are called otherwise, say so:
``columns={"occurred_at": "Timestamp"}``, ``values={"action": {"topic_viewed": "view"}}``, ``day_first=``; ``help(ll.Community)``
has them all. ``ll.read_segment("events.jsonl")`` reads the calls of a web or product tracker. No log at hand?
``ll.simulate_community()`` makes a community whose buyers are known, and ``ll.read_stackexchange(path)`` reads a public one.

What ``qualify`` does, step by step
-----------------------------------
=====================================  =======================================================================
``observe``, ``Observations``          (member, cutoff) pairs, labelled by the deals won in the window after it
``Catalogue``, ``Behaviour``           what members do, as data: ``Count``, ``Recency``, ``Trend`` and the others;
                                       ready made: ``CORPORATE_COMMUNITY``, ``QUESTION_COMMUNITY``,
                                       ``PASSIVE_CANDIDATE``
``build_features``,                    features from before the cutoff only, as a frame or as a scikit-learn
``CommunityFeatures``                  transformer
``LeadClassifier``, ``PointsScorer``   scikit-learn classifiers: the model, and the points that it has to beat;
                                       ``TemporalSplit`` validates them in the order of time
``Capacity``, ``Costs``, ``MissRate``  the rule that turns a probability into "approach" or "do not"
``LeadQualifier``                      all of these as one object: ``fit``, ``score``, ``explain``, ``save``
``evaluate``                           who would have been missed and approached in vain, beside simple baselines
``load``, ``Scorer``                   a saved model inside an application: needs numpy and nothing else; returns
                                       a ``Prediction``, each ``Reason`` in words
=====================================  =======================================================================

Each has an example: ``help(ll.observe)``. Three rooms have more in them: `leadlight.evaluation` (leakage audit, metrics),
`leadlight.testing` (point-in-time checks for your own behaviours) and `leadlight.tracking` (MLflow); `leadlight.sources`
reads databases, Salesforce and HubSpot. On the command line: ``leadlight --help``.

Nothing is imported until it is asked for, so ``import leadlight`` costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadlight._version import __version__

if TYPE_CHECKING:
    from leadlight import evaluation, testing, tracking
    from leadlight.behaviours import (
        CORPORATE_COMMUNITY,
        PASSIVE_CANDIDATE,
        QUESTION_COMMUNITY,
        Behaviour,
        Catalogue,
        Completeness,
        Count,
        Distinct,
        Entropy,
        FirstTime,
        Peers,
        Ratio,
        Recency,
        Sum,
        Surprise,
        Tenure,
        Trend,
        Visits,
    )
    from leadlight.community import Community
    from leadlight.decision import Capacity, Costs, MissRate
    from leadlight.estimators import LeadClassifier, PointsScorer, TemporalSplit
    from leadlight.evaluation import evaluate
    from leadlight.features import CommunityFeatures, build_features
    from leadlight.observations import Observations, observe
    from leadlight.qualifier import LeadQualifier, qualify
    from leadlight.runtime import Prediction, Reason, Scorer, load
    from leadlight.simulate import simulate_community
    from leadlight.sources.segment import read_segment
    from leadlight.sources.stackexchange import read_stackexchange

__all__ = [
    "CORPORATE_COMMUNITY",
    "PASSIVE_CANDIDATE",
    "QUESTION_COMMUNITY",
    "Behaviour",
    "Capacity",
    "Catalogue",
    "Community",
    "CommunityFeatures",
    "Completeness",
    "Costs",
    "Count",
    "Distinct",
    "Entropy",
    "FirstTime",
    "LeadClassifier",
    "LeadQualifier",
    "MissRate",
    "Observations",
    "Peers",
    "PointsScorer",
    "Prediction",
    "Ratio",
    "Reason",
    "Recency",
    "Scorer",
    "Sum",
    "Surprise",
    "TemporalSplit",
    "Tenure",
    "Trend",
    "Visits",
    "__version__",
    "build_features",
    "evaluate",
    "evaluation",
    "load",
    "observe",
    "qualify",
    "read_segment",
    "read_stackexchange",
    "simulate_community",
    "testing",
    "tracking",
]

_ROOMS = {
    "leadlight.behaviours": (
        "CORPORATE_COMMUNITY",
        "PASSIVE_CANDIDATE",
        "QUESTION_COMMUNITY",
        "Behaviour",
        "Catalogue",
        "Completeness",
        "Count",
        "Distinct",
        "Entropy",
        "FirstTime",
        "Peers",
        "Ratio",
        "Recency",
        "Sum",
        "Surprise",
        "Tenure",
        "Trend",
        "Visits",
    ),
    "leadlight.community": ("Community",),
    "leadlight.decision": ("Capacity", "Costs", "MissRate"),
    "leadlight.estimators": ("LeadClassifier", "PointsScorer", "TemporalSplit"),
    "leadlight.evaluation": ("evaluate",),
    "leadlight.features": ("CommunityFeatures", "build_features"),
    "leadlight.observations": ("Observations", "observe"),
    "leadlight.qualifier": ("LeadQualifier", "qualify"),
    "leadlight.runtime": ("Prediction", "Reason", "Scorer", "load"),
    "leadlight.simulate": ("simulate_community",),
    "leadlight.sources.segment": ("read_segment",),
    "leadlight.sources.stackexchange": ("read_stackexchange",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_SUBMODULES = ("evaluation", "testing", "tracking")

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept every misspelt name

    def __getattr__(name):
        from importlib import import_module

        if name in _SUBMODULES:
            return import_module(f"leadlight.{name}")
        if name in _ROOM_OF:
            try:
                found = globals()[name] = getattr(import_module(_ROOM_OF[name]), name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("leadlight"):
                    raise
                from leadlight.errors import MissingDependencyError

                raise MissingDependencyError(
                    f"leadlight.{name} needs {error.name}, which is not installed. To load a model and predict, NumPy is enough; "
                    "for the rest install leadlight without --no-deps."
                ) from error
            return found
        if name.startswith("__"):  # dunders are asked for by machinery, which needs no advice
            raise AttributeError(f"module 'leadlight' has no attribute {name!r}")
        from leadlight.errors import closest

        raise AttributeError(f"module 'leadlight' has no attribute {name!r}{closest(name, __all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
