"""How far a long job is: readable on any width, a line now and then where nobody watches, nothing for a program."""

from __future__ import annotations

import io
import json

import pytest
from cli_kit import cli
from rich.console import Console

from foreman.cli.meter import LINE_SECONDS, Meter, Reading, drawn

HALF = Reading(
    5_000, 10_000, "5,000 of 10,000 schedules", ("1,020/s", "4,812 different runs", "81,000 states", "nothing found")
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(width: int, times: list[float], **more: bool) -> str:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, width=width, color_system=None, **more)
    with Meter(console, "claim-race", clock) as meter:
        for clock.now in times:
            meter.show(lambda: HALF)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_every_figure_can_be_read_on_any_width(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(drawn("claim-race", HALF, width))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    words = "".join(lines).replace(" ", "")
    assert all(figure.replace(" ", "") in words for figure in (HALF.amount, *HALF.figures))


@pytest.mark.parametrize(("done", "full"), [(0, 0), (5_000, 20), (10_000, 40), (10_300, 40)])
def test_the_bar_is_as_full_as_the_budget_is_spent(done: int, full: int) -> None:
    bar = drawn("x", HALF._replace(done=done), 40).plain.splitlines()[1]
    assert bar == "█" * full + "·" * (40 - full)


def test_nobody_watching_gets_a_whole_line_every_ten_seconds() -> None:
    told = shown(40, [0, 1, LINE_SECONDS, LINE_SECONDS + 1, 2 * LINE_SECONDS, 25])
    assert told.splitlines() == [f"claim-race: {HALF.amount}, {', '.join(HALF.figures)}"] * 2


def test_a_terminal_is_redrawn_ten_times_a_second_and_left_clean() -> None:
    clock, out, read = Clock(), io.StringIO(), []
    console = Console(file=out, force_terminal=True, width=40, color_system=None)
    with Meter(console, "claim-race", clock) as meter:
        for clock.now in (0.05, 0.2, 0.21, 0.4):
            meter.show(lambda: read.append(clock.now) or HALF)
    assert read == [0.2, 0.4]
    assert out.getvalue().endswith("\x1b[2K")


def test_a_program_gets_nothing_but_its_json() -> None:
    assert shown(40, [100.0], quiet=True) == ""
    done = cli("sim", "hunt", "happy-path", "--budget", "3", "--jobs", "1", "--strategy", "random", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["schedules"] == 3
