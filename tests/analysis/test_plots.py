"""Each picture is drawn, says what it found, and stays readable from three nodes to a thousand: artists and words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from cli_kit import cli, one_line
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from sim.analysis import Run, load
from sim.analysis.kinds import KINDS
from sim.analysis.plots import cascade, gantt, page, style
from sim.load import load as scenario
from sim.load import parse
from sim.result import result_of
from sim.tracefile import recording
from sim.world import World

WIDE = """
fleet: {cuda: {count: 40, accelerator: cuda, slots: 2}, mac: {count: 960, accelerator: metal}}
workload: {count: 300, arrivals: {poisson: 100/s}, mix: {train: {requires: {accelerator: cuda}}, lint: {}}}
executor: {duration: 2s}
"""
EMPTY = """
fleet: {node: {count: 3}}
workload: {count: 1, mix: {any: {requires: {accelerator: cuda}}}}
until: 5s
"""
LABELS = [label for _, label in gantt.OUTCOMES.values()]
TEXTS = {"wide": WIDE, "empty": EMPTY}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder, made = tmp_path_factory.mktemp("plots"), {}
    for name in ("cascade", "claim-race", "zombie-agent", "wide", "empty"):
        told = parse(TEXTS[name], "plots.yaml") if name in TEXTS else scenario(name)
        with recording(folder / f"{name}.parquet", f"foreman sim run {name} --seed 0") as trace:
            trace.end(result_of(World(told, trace=trace).run()))
        made[name] = load(folder / f"{name}.parquet")
    return made


def axes_of(run: Run, kind: str) -> Axes:
    figure = page.figure(run, kind)
    return figure.axes[0]


def title(axes: Axes) -> str:
    return axes.get_title(loc="left").replace("\n", " ")


def inside(figure: Figure) -> bool:
    """Whether every title lies within the picture and no two of them overlap."""
    figure.draw_without_rendering()
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes if axes.get_title(loc="left")]
    apart = all(not one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    return apart and all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("name", ["cascade", "claim-race", "zombie-agent", "wide", "empty"])
@pytest.mark.parametrize("kind", [*KINDS, "overview"])
def test_every_kind_is_drawn_of_every_run(runs: dict[str, Run], kind: str, name: str, tmp_path: Path) -> None:
    run = runs[name]
    page.draw(run, kind, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    figure = page.figure(run, kind)
    assert inside(figure)
    assert run.name in figure.get_suptitle()
    assert run.replay in figure.get_supxlabel()
    for axes in figure.axes:
        if axes.axison and axes.get_title(loc="left"):
            assert axes.get_xlabel()
            assert axes.get_ylabel() or axes.yaxis.get_ticklocs().size == 0


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_ending_is_the_format(runs: dict[str, Run], suffix: str, tmp_path: Path) -> None:
    page.draw(runs["zombie-agent"], "gantt", tmp_path / f"out{suffix}")
    assert (tmp_path / f"out{suffix}").stat().st_size > 1000


def test_the_same_run_gives_the_same_svg(runs: dict[str, Run], tmp_path: Path) -> None:
    for name in ("one.svg", "other.svg"):
        page.draw(runs["zombie-agent"], "overview", tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_a_gantt_has_a_bar_for_each_attempt_that_began(runs: dict[str, Run]) -> None:
    axes = axes_of(runs["cascade"], "gantt")
    drawn = [each for each in axes.collections if each.get_label() in LABELS]
    bars = sum(len(each.get_paths()) for each in drawn)
    begun = int(runs["cascade"].attempts["claimed"].notna().sum())
    gone = sum(each.get_label() == "node not ready" for each in axes.collections)
    assert gone == 1
    assert bars == begun
    assert title(axes) == "308 attempts on 12 nodes: 3 lost or handed back"
    assert [each.get_text() for each in axes.get_yticklabels()][:2] == ["rack-a-0", "rack-a-1"]


def test_a_thousand_nodes_are_drawn_as_an_image(runs: dict[str, Run]) -> None:
    axes = axes_of(runs["wide"], "gantt")
    (image,) = axes.images
    assert image.get_array().shape == (200, 400)
    assert len(axes.get_yticklabels()) < 12
    placed = axes_of(runs["wide"], "placement")
    assert [each.get_text() for each in placed.get_xticklabels()] == ["cuda", "mac"]
    assert "train: 100 % on cuda" in title(placed)


def test_placement_counts_the_attempts_of_each_class(runs: dict[str, Run]) -> None:
    axes = axes_of(runs["claim-race"], "placement")
    numbers = [int(each.get_text().replace(",", "")) for each in axes.texts if each.get_text() != "·"]
    assert sum(numbers) == len(runs["claim-race"].attempts)


def test_utilisation_says_what_the_attempts_say(runs: dict[str, Run]) -> None:
    run = runs["claim-race"]
    busy = (run.attempts["ended"].fillna(run.end) - run.attempts["claimed"]).sum()
    told = re.match(r"(\d+) % of the ready slot time", title(axes_of(run, "utilisation")))
    assert told is not None
    assert float(told[1]) == pytest.approx(100 * busy / (12 * run.end), abs=2)


def test_queue_waits_and_conflicts_say_the_numbers(runs: dict[str, Run]) -> None:
    run = runs["claim-race"]
    assert title(axes_of(run, "queue")).startswith("Up to 20 tasks waited for a node, at ")
    waits = run.tasks["wait"].sort_values()
    assert f"waited {style.s(waits.iloc[29])} or less" in title(axes_of(run, "waits"))
    assert run.result is not None
    assert f"{run.result['conflicts']:,} of" in title(axes_of(run, "conflicts"))


def test_a_cascade_hangs_each_task_below_what_brought_it_down(runs: dict[str, Run]) -> None:
    run = runs["cascade"]
    found = cascade.fallen(run)
    failed = set(run.tasks.loc[run.tasks["phase"] == "Failed", "task"])
    assert set(found.causes) == failed
    ended = run.tasks.set_index("task")["ended"]
    for task, causes in found.causes.items():
        assert set(causes) <= failed
        assert all(ended[cause] <= ended[task] for cause in causes)
        assert found.depth[task] == 1 + max((found.depth[cause] for cause in causes), default=-1)
    axes = axes_of(run, "cascade")
    dots = sum(len(each.get_offsets()) for each in axes.collections if isinstance(each, PathCollection))
    edges = sum(len(each.get_segments()) for each in axes.collections if isinstance(each, LineCollection))
    assert dots == len(failed)
    assert edges == sum(map(len, found.causes.values()))
    assert "took 77 down with them" in title(axes)


def test_nothing_to_show_is_said(runs: dict[str, Run]) -> None:
    empty = runs["empty"]
    assert title(axes_of(empty, "gantt")) == "No task was assigned"
    assert title(axes_of(empty, "waits")) == "None of 1 task was claimed"
    assert title(axes_of(empty, "placement")) == "None of 1 task was placed"
    assert title(axes_of(empty, "cascade")) == "None of 1 task failed"


def test_faults_are_named_once_each_moment(runs: dict[str, Run]) -> None:
    assert "crash ×3" in [each.get_text() for each in axes_of(runs["cascade"], "queue").texts]


def test_a_failed_run_says_so_in_red(tmp_path: Path) -> None:
    with recording(tmp_path / "bad.parquet") as trace:
        trace.end(result_of(World(scenario("claim-race", ["mutations=[unconditional-writes]"]), trace=trace).run()))
    figure = page.figure(load(tmp_path / "bad.parquet"), "gantt")
    assert "safety" in figure.get_suptitle()
    assert figure._suptitle is not None
    assert figure._suptitle.get_color() == style.RED


def test_colours_differ_in_lightness_or_hue_for_everybody() -> None:
    """Seen without red-green discrimination (Viénot's projection), the colours that mean something are still apart."""
    from matplotlib.colors import to_rgb

    def deuteranope(colour: str) -> tuple[float, float]:
        r, g, b = (each**2.2 for each in to_rgb(colour))
        return 0.2920 * r + 0.7054 * g, b

    seen = [deuteranope(each) for each in (style.GREEN, style.RED, style.ORANGE, style.BLUE)]
    apart = [abs(a - c) + abs(b - d) for i, (a, b) in enumerate(seen) for c, d in seen[:i]]
    assert min(apart) > 0.1


# the commands


def test_a_newcomer_goes_from_run_to_picture(tmp_path: Path) -> None:
    trace = tmp_path / "out.parquet"
    assert cli("sim", "run", "zombie-agent", "--trace", str(trace), "--plot", str(tmp_path / "run.png")).returncode == 0
    assert (tmp_path / "run.png").exists()
    done = cli("sim", "plot", str(trace))
    assert done.stdout.split() == [str(tmp_path / "out-overview.png")]
    done = cli("sim", "plot", str(trace), "all")
    assert done.stdout.split() == [str(tmp_path / f"out-{kind}.png") for kind in KINDS]
    assert all((tmp_path / f"out-{kind}.png").exists() for kind in KINDS)
    assert cli("sim", "plot", str(trace), "waits", "-o", str(tmp_path / "w.svg")).returncode == 0
    assert (tmp_path / "w.svg").read_text().startswith("<?xml")


def test_a_plot_needs_no_trace_to_be_kept(tmp_path: Path) -> None:
    assert cli("sim", "run", "zombie-agent", "-q", "--plot", str(tmp_path / "run.svg")).returncode == 0
    assert [each.name for each in tmp_path.iterdir()] == ["run.svg"]


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    trace = str(tmp_path / "out.parquet")
    assert cli("sim", "run", "zombie-agent", "-q", "--trace", trace).returncode == 0
    foreign = tmp_path / "foreign.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(foreign)
    for words, told in (
        (("sim", "plot", trace, "gant"), "gantt"),
        (("sim", "plot", trace, "gantt", "-o", str(tmp_path / "out.bmp")), "ends in .png, .svg, .pdf"),
        (("sim", "plot", trace, "gantt", "-o", "/no/such/folder/out.png"), "/no/such/folder/out.png"),
        (("sim", "plot", str(tmp_path / "gone.parquet")), "gone.parquet"),
        (("sim", "plot", str(foreign)), "not a trace"),
        (("sim", "plot", "claim-race"), "ends in .jsonl or .parquet"),
        (("sim", "story", str(foreign), "task-0"), "not a trace"),
        (("sim", "get", str(foreign), "at"), "not a trace"),
        (("sim", "diff", str(foreign), trace), "not a trace"),
        (("sim", "run", "zombie-agent", "--plot", str(tmp_path / "out.gif")), "ends in .png, .svg, .pdf"),
        (("sim", "run", "zombie-agent", "--plot", "/no/such/folder/out.png"), "/no/such/folder/out.png"),
        (("sim", "run", "zombie-agent", "--trace", str(tmp_path / "out.csv")), "ends in .jsonl or .parquet"),
        (("sim", "run", "zombie-agent", "--trace", "/no/such/folder/out.parquet"), "/no/such/folder/out.parquet"),
    ):
        assert told in one_line(cli(*words)), words


def test_a_parquet_trace_serves_story_get_and_diff(tmp_path: Path) -> None:
    traces = [str(tmp_path / name) for name in ("out.parquet", "out.jsonl")]
    for trace in traces:
        assert cli("sim", "run", "zombie-agent", "-q", "--trace", trace).returncode == 0
    for words in (("story", "{}", "task-0", "--json"), ("get", "{}", "at", "--at", "20s"), ("get", "{}", "fn")):
        told = [cli("sim", *(word.format(trace) for word in words)) for trace in traces]
        assert told[0].returncode == 0, told[0].stderr
        assert told[0].stdout == told[1].stdout
    assert cli("sim", "diff", *traces).returncode == 0
    assert cli("sim", "diff", traces[0], "zombie-agent").returncode == 0


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("pyarrow", ("run", "zombie-agent", "--trace", "{}/out.parquet")),
        ("pandas", ("plot", "{}/out.jsonl", "-o", "{}/out.png")),
        ("matplotlib", ("run", "zombie-agent", "--plot", "{}/out.png")),
        ("matplotlib", ("plot", "{}/out.jsonl", "-o", "{}/out.png")),
    ],
)
def test_a_missing_library_is_named_with_how_to_install_it(
    library: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    assert cli("sim", "run", "zombie-agent", "-q", "--trace", str(tmp_path / "out.jsonl")).returncode == 0
    code = f"import sys; sys.modules[{library!r}] = None; from foreman.cli import main; main()"
    told = [sys.executable, "-c", code, "sim", *(word.format(tmp_path) for word in words)]
    done = subprocess.run(told, capture_output=True, text=True, check=False)
    assert library in one_line(done)
    assert "pip install 'llmkube-foreman[analysis]'" in done.stderr
