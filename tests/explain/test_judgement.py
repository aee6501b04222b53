"""Lift, profit, views and weeks of warning: each plot draws what its twin returns, and the twin is the report's."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from leadlight.errors import InputError
from leadlight.explain import (
    lift_data,
    plot_lift,
    plot_profit,
    plot_views,
    plot_warning,
    profit_data,
    views_data,
    warning_data,
)
from leadlight.explain.canvas import spread

PLOTS = [plot_lift, plot_profit, plot_views, plot_warning]


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


def texts(ax):
    return [found.get_text() for found in ax.texts]


def marks(ax):
    """Where single marks stand."""
    return [
        (float(np.ravel(found.get_xdata())[0]), found.get_marker())
        for found in ax.lines
        if found.get_marker() not in ("None", "", None) and np.size(found.get_xdata()) == 1
    ]


def test_the_twin_of_the_lift_is_that_of_the_report(full_report):
    data, own = lift_data(full_report), full_report.curves["lift"]
    for column in ("model", "decile", "lift", "low", "high", "cumulative"):
        assert data[column].tolist() == own[column].tolist()


def test_the_line_of_a_model_is_its_lift(full_report):
    data = lift_data(full_report)
    drawn = line(plot_lift(full_report), "your points")
    np.testing.assert_allclose(drawn.get_ydata(), data.loc[data["model"] == "points", "lift"])


def test_the_band_of_the_lift_ends_where_no_lift_can_be(full_report):
    ax, data = plot_lift(full_report), lift_data(full_report)
    assert data["high"].max() == 16
    drawn = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert drawn.max() == 10
    assert drawn.min() == pytest.approx(data.loc[data["model"] == "leadlight", "low"].min())


def test_the_line_of_a_model_is_its_profit_as_far_as_it_is_shown(full_report):
    data = profit_data(full_report).query("model == 'points'")
    drawn = line(plot_profit(full_report), "your points")
    assert 0.05 < drawn.get_xdata()[-1] / 100 < 1
    np.testing.assert_allclose(drawn.get_ydata(), data["profit"].iloc[: len(drawn.get_ydata())])


def test_the_most_profitable_share_is_marked(full_report):
    ax = plot_profit(full_report)
    assert (pytest.approx(5.0), "o") in marks(ax)
    assert "most: 900" in texts(ax)


def test_a_profit_without_gain_is_drawn_and_has_no_mark(full_report):
    curves = full_report.curves
    curves["profit"]["profit"] -= 2000
    assert not any(text.startswith("most") for text in texts(plot_profit(full_report)))


@pytest.mark.parametrize("plot", [plot_lift, plot_profit])
def test_models_are_named_beside_their_lines(full_report, plot):
    ax = plot(full_report)
    assert {"this model", "your points"} <= set(texts(ax))
    assert ax.get_legend() is None


@pytest.mark.parametrize("plot", [plot_lift, plot_profit])
def test_lines_differ_in_more_than_their_colour(full_report, plot):
    ax = plot(full_report)
    styles = [
        (line(ax, name).get_linestyle(), line(ax, name).get_marker())
        for name in ("this model", "your points")
    ]
    assert styles[0][0] != styles[1][0]
    assert styles[0][1] != styles[1][1]


def test_the_twin_of_the_views_is_that_of_the_report(full_report):
    data, views = views_data(full_report), full_report.views
    for row in data.itertuples():
        own = views.query("view == @row.view and model == @row.model and metric == 'missed_share'").iloc[0]
        assert (row.missed, row.low, row.high) == (own["value"], own["low"], own["high"])
    assert data.drop_duplicates("view")["buyers"].tolist() == [20, 11, 1]


def test_a_view_without_buyers_is_not_drawn(full_report):
    assert list(views_data(full_report)["view"].unique()) == ["all labels", "contacted", "explored"]
    assert texts(plot_views(full_report))[0] == "everybody, as the deals stand: 20 buyers"
    assert "approached at random: 1 buyer" in texts(plot_views(full_report))


def test_the_marks_of_the_views_are_what_is_missed(full_report):
    drawn = [place for place, _ in marks(plot_views(full_report))]
    np.testing.assert_allclose(drawn, 100 * views_data(full_report)["missed"])


def test_a_model_has_the_same_mark_in_every_view(full_report):
    kinds = [kind for _, kind in marks(plot_views(full_report))]
    assert kinds[0::2] == [kinds[0]] * 3
    assert kinds[0] != kinds[1]


def test_the_marks_of_the_warning_are_its_gains_over_chance(full_report):
    ax, data = plot_warning(full_report), warning_data(full_report)
    np.testing.assert_allclose([place for place, _ in marks(ax)], full_report.warning["excess"])
    assert data["low"].tolist() == full_report.warning["low"].tolist()
    assert {"7.5 weeks, 75% alerted", "4.0 weeks, 50% alerted", "random alerts: 3.0 weeks"} <= set(texts(ax))


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_draws_on_the_axes_that_it_is_given(full_report, plot):
    ax = Figure().add_subplot()
    assert plot(full_report, ax=ax) is ax


@pytest.mark.parametrize(
    ("plot", "words"),
    [
        (plot_lift, "no curve 'lift'"),
        (plot_profit, "knows no costs"),
        (plot_views, "no views"),
        (plot_warning, "no weeks of warning"),
    ],
)
def test_what_a_report_does_not_have_is_named(report, plot, words):
    with pytest.raises(InputError, match=words):
        plot(report)


@pytest.mark.parametrize("plot", PLOTS)
def test_dollar_signs_of_a_model_are_no_mathematics(full_report, plot):
    def renamed(frame):
        found = frame.copy()
        if "model" in found:
            found["model"] = found["model"].replace("points", "$5 or $6")
        return found.rename(index={"points": "$5 or $6"})

    changed = dataclasses.replace(
        full_report,
        curves={name: renamed(frame) for name, frame in full_report.curves.items()},
        views=renamed(full_report.views),
        warning=renamed(full_report.warning),
    )
    ax = plot(changed)
    named = [text for text in (*ax.texts, *ax.get_yticklabels()) if "$5 or $6" in text.get_text()]
    assert named
    assert not any(text.get_parse_math() for text in named)


def test_names_give_way_to_each_other_and_keep_their_order():
    found = spread([1.0, 1.1, 5.0, 1.05], 1.0, 0.0, 10.0)
    assert np.diff(np.sort(found)).min() >= 1 - 1e-9
    assert np.argsort(found).tolist() == [0, 3, 1, 2]
    assert found.min() >= 0


def test_names_that_have_room_stay_where_they_are():
    assert spread([1.0, 5.0], 1.0, 0.0, 10.0).tolist() == [1.0, 5.0]
