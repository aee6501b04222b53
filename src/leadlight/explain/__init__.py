"""Explanations for people: contributions per behaviour, evidence, what drives deals, plots with their data, the page."""

from leadlight.explain.behaviours import by_behaviour, importance
from leadlight.explain.drivers import drivers, drivers_data, plot_drivers
from leadlight.explain.evidence import evidence, evidence_of
from leadlight.explain.judgement import (
    lift_data,
    plot_lift,
    plot_profit,
    plot_views,
    plot_warning,
    profit_data,
    views_data,
    warning_data,
)
from leadlight.explain.over_the_line import OverTheLine, over_the_line
from leadlight.explain.plots import (
    calibration_data,
    gains_data,
    importance_data,
    plot_calibration,
    plot_gains,
    plot_importance,
    plot_worth,
    worth_data,
)
from leadlight.explain.points import plot_points, points_data
from leadlight.explain.probability import probability_points
from leadlight.explain.reached import plot_reached, reached_data
from leadlight.explain.report import write_report

__all__ = [
    "OverTheLine",
    "by_behaviour",
    "calibration_data",
    "drivers",
    "drivers_data",
    "evidence",
    "evidence_of",
    "gains_data",
    "importance",
    "importance_data",
    "lift_data",
    "over_the_line",
    "plot_calibration",
    "plot_drivers",
    "plot_gains",
    "plot_importance",
    "plot_lift",
    "plot_points",
    "plot_profit",
    "plot_reached",
    "plot_views",
    "plot_warning",
    "plot_worth",
    "points_data",
    "probability_points",
    "profit_data",
    "reached_data",
    "views_data",
    "warning_data",
    "worth_data",
    "write_report",
]
