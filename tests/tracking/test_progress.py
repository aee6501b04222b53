"""A bar in a terminal, plain lines in a log, nothing where nothing is asked for."""

from __future__ import annotations

import io
import sys
import types

import pytest

from leadlight.tracking.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream, **options) -> str:
    with Progress(2, stream=stream, **options) as progress:
        progress.step("reading")
        progress.step("fitting")
    return stream.getvalue()


def test_a_log_gets_one_plain_line_a_step():
    lines = run(io.StringIO()).splitlines()
    assert [line.split(" (")[0] for line in lines] == ["[1/2] reading", "[2/2] fitting"]


def test_a_step_can_say_how_far_it_is():
    log, terminal = io.StringIO(), Terminal()
    for stream, show in ((log, True), (terminal, True), (io.StringIO(), False)):
        with Progress(1, stream=stream, show=show) as progress:
            progress.step("tuning")
            progress.say("trial 3 of 9")
    assert log.getvalue().splitlines()[1].startswith("      trial 3 of 9 (at ")
    assert "trial 3 of 9" in terminal.getvalue()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_rewritten():
    text = run(Terminal())
    assert "\r" in text
    assert "fitting" in text
    assert "2/2" in text


def test_a_notebook_gets_a_bar(monkeypatch):
    class ZMQInteractiveShell:
        pass

    fake = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.delitem(sys.modules, "ipywidgets", raising=False)
    assert "\r" in run(io.StringIO())


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_nothing_is_shown_where_nothing_is_asked_for(stream):
    assert run(stream, show=False) == ""


def test_an_error_leaves_the_bar_where_it_was():
    stream = Terminal()
    progress = Progress(2, stream=stream)
    progress.step("reading")
    progress.__exit__(ValueError, ValueError("stop"), None)
    assert "2/2" not in stream.getvalue()
