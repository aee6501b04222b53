"""Each plot draws what its twin returns."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from leadlight.errors import InputError
from leadlight.explain import (
    calibration_data,
    gains_data,
    importance_data,
    plot_calibration,
    plot_gains,
    plot_importance,
    plot_worth,
    worth_data,
)


@pytest.fixture
def importance():
    return pd.DataFrame(
        {"mean_absolute": [0.1, 0.4], "direction": [1, -1]},
        index=pd.Index(["reads", "costs $5 or $6"], name="behaviour"),
    )


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


def test_the_line_of_a_model_is_its_gains(report):
    data = gains_data(report)
    drawn = line(plot_gains(report), "your points")
    np.testing.assert_allclose(drawn.get_ydata(), 100 * data.loc[data["model"] == "points", "reached"])


def test_models_differ_in_more_than_their_colour(report):
    ax = plot_gains(report)
    styles = [(found.get_linestyle(), found.get_marker()) for found in ax.lines[:2]]
    assert styles[0] != styles[1]


def test_the_marks_of_the_calibration_are_its_bands(report):
    drawn = line(plot_calibration(report), "observed")
    np.testing.assert_allclose(drawn.get_ydata(), 100 * calibration_data(report)["observed"])


def test_the_two_marks_of_a_behaviour_are_the_two_kinds_of_points(report):
    ax, data = plot_worth(report), worth_data(report)
    np.testing.assert_array_equal(line(ax, "the deals say").get_xdata(), data["deals_say"])
    np.testing.assert_array_equal(line(ax, "set by hand").get_xdata(), data["hand_set"])


def test_points_are_labelled_by_behaviour(report):
    assert [t.get_text() for t in plot_worth(report).get_yticklabels()] == ["forwards content", "searches"]


def test_the_longest_bar_is_on_top(importance):
    data, ax = importance_data(importance), plot_importance(importance)
    assert data.index[0] == "costs $5 or $6"
    assert sorted(p.get_width() for p in ax.patches) == [0.1, 0.4]
    assert ax.yaxis_inverted()


def test_a_bar_that_pushes_down_is_hatched(importance):
    hatch = {p.get_width(): p.get_hatch() for p in plot_importance(importance).patches}
    assert hatch[0.4]
    assert not hatch[0.1]


def test_dollar_signs_of_a_behaviour_are_no_mathematics(importance):
    labels = plot_importance(importance).get_yticklabels()
    assert labels[0].get_text() == "costs $5 or $6"
    assert not labels[0].get_parse_math()


@pytest.mark.parametrize("plot", [plot_gains, plot_calibration, plot_worth])
def test_a_plot_draws_on_the_axes_that_it_is_given(report, plot):
    ax = Figure().add_subplot()
    assert plot(report, ax=ax) is ax


def test_a_twin_may_be_changed_without_changing_the_report(report):
    worth, gains = worth_data(report), gains_data(report)
    worth.loc["searches", "hand_set"] = 99
    gains["reached"] = 0.0
    assert report.worth.loc["searches", "hand_set"] == 1
    assert report.curves["gains"]["reached"].max() == 1


def test_a_report_without_points_has_no_worth(report_with):
    with pytest.raises(InputError, match="compares no points"):
        plot_worth(report_with(worth=None))


def test_a_curve_that_is_missing_is_named(report_with):
    with pytest.raises(InputError, match="no curve 'gains'"):
        gains_data(report_with(curves={}))


def test_a_frame_that_is_no_importance_is_refused():
    with pytest.raises(InputError, match="mean_absolute"):
        importance_data(pd.DataFrame({"a": [1]}))


def test_importing_the_room_imports_no_matplotlib():
    code = "import sys, leadlight.explain; sys.exit(any(m in sys.modules for m in ('matplotlib', 'jinja2', 'shap')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
