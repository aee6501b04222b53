"""Each plot draws what its twin returns."""

import dataclasses
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
    plot_drivers,
    plot_gains,
    plot_importance,
    plot_lift,
    plot_profit,
    plot_worth,
    worth_data,
)
from leadlight.explain.canvas import BLUE, MARKS, MODELS, SERIES, VERMILION


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


OKABE_ITO = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#999999", "#56b4e9"}


def test_every_model_has_a_style_of_its_own():
    assert len(SERIES) >= len(MODELS)


def test_no_two_series_are_alike_without_their_colour():
    styles = {(str(style["linestyle"]), style.get("marker")) for style in SERIES}
    assert len(styles) == len(SERIES)


def test_no_two_series_have_the_same_mark():
    assert len(set(MARKS)) == len(SERIES)


def test_every_colour_can_be_told_by_those_who_see_fewer():
    """The palette of Okabe and Ito, and one grey."""
    assert {style["color"] for style in SERIES} | {BLUE, VERMILION} == OKABE_ITO


@pytest.mark.parametrize("plot", [plot_gains, plot_lift, plot_profit])
def test_the_lines_of_models_differ_without_colour(plot, full_report):
    """Every model that evaluate knows, in one picture."""
    curves = {
        name: pd.concat([frame[frame["model"] == "leadlight"].assign(model=model) for model in MODELS])
        for name, frame in full_report.curves.items()
        if "model" in frame
    }
    named = [
        found
        for found in plot(dataclasses.replace(full_report, curves=full_report.curves | curves)).lines
        if found.get_label() in MODELS.values()
    ]
    # The dashes as drawn: matplotlib calls every pattern of its own "--".
    looks = {(str(found._dash_pattern), found.get_marker(), found.get_linewidth()) for found in named}
    assert len(named) == len(looks) == len(MODELS)


def test_the_names_beside_the_lift_find_room_in_narrow_axes(full_report):
    figure = Figure(figsize=(4, 3))
    ax = plot_lift(full_report, ax=figure.add_subplot())
    figure.canvas.draw()
    names = [text for text in ax.texts if text.get_text() == "your points"]
    assert names[0].get_window_extent().x0 >= ax.get_window_extent().x0


def test_what_is_unsure_is_hollow():
    found = pd.DataFrame(
        {
            "effect": [1.0, 0.1],
            "low": [0.5, -1.0],
            "high": [1.5, 1.0],
            "speaks": ["more of it", "cannot tell yet"],
        },
        index=pd.Index(["reads", "asks"], name="behaviour"),
    )
    faces = {mark.get_label(): mark.get_markerfacecolor() for mark in plot_drivers(found).lines}
    assert faces["cannot tell yet"] == "none"
    assert faces["more of it"] != "none"
