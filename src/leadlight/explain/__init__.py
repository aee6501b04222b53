"""Explanations for people: contributions per behaviour, plots with their data, and the page for a sales manager."""

from leadlight.explain.behaviours import by_behaviour, importance
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
from leadlight.explain.report import write_report

__all__ = [
    "by_behaviour",
    "calibration_data",
    "gains_data",
    "importance",
    "importance_data",
    "lift_data",
    "plot_calibration",
    "plot_gains",
    "plot_importance",
    "plot_lift",
    "plot_profit",
    "plot_views",
    "plot_warning",
    "plot_worth",
    "profit_data",
    "views_data",
    "warning_data",
    "worth_data",
    "write_report",
]
