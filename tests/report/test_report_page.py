"""The page in a headless Chromium, with real clicks: what is shown, what it leads to, and that nothing is fetched."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli
from report_kit import BROKEN, HOSTILE, data_of, renamed, reported, scenario_of, traced

from sim.causes import WRITES, at_a_glance, explained
from sim.report.bench import SCENARIO, TASKS
from sim.report.chromium import NoBrowser, chromium
from sim.story import cells, from_run, from_trace

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

WAIT = 30
"""Seconds for a page to become as it should: only for a page that never does."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    try:
        with chromium(1280, 900) as running:
            yield running
    except NoBrowser as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports by the name of their scenario, each made when it is first asked for."""
    return {"": tmp_path_factory.mktemp("reports")}


class Page:
    """A report that is open. It must end without an error in the console."""

    def __init__(self, browser: Chrome, path: Path) -> None:
        self.browser, self.path = browser, path
        browser.get("about:blank")
        browser.get(path.as_uri())
        self.until("document.documentElement.dataset.ready === 'yes'")

    def js(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    def until(self, script: str) -> None:
        WebDriverWait(self.browser, WAIT, 0.05).until(lambda driver: driver.execute_script(f"return {script}"))

    def find(self, css: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        return list(self.js("[...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", css))

    @property
    def tasks(self) -> list[str]:
        """The names that are in sight in the table."""
        return list(self.js("[...document.querySelectorAll('#visible .is-task')].map((each) => each.title)"))

    @property
    def chosen(self) -> list[str]:
        """The name that is chosen in the table, if it is in sight."""
        return list(
            self.js("[...document.querySelectorAll('[aria-selected=true] .is-task')].map((each) => each.title)")
        )

    @property
    def canvas(self) -> Any:
        return self.find("#timeline")

    @property
    def stretch(self) -> tuple[int, int]:
        """The time that is shown, in microseconds."""
        return int(self.js("document.getElementById('timeline').dataset.from")), int(
            self.js("document.getElementById('timeline').dataset.to")
        )

    def drawn(self) -> None:
        """Until what was changed is on the canvas."""
        self.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def at(self, x: float, y: float) -> ActionChains:
        """The pointer on that point of the canvas."""
        box = self.canvas.rect
        chain = ActionChains(self.browser, duration=0)
        return chain.move_to_element_with_offset(self.canvas, round(x - box["width"] / 2), round(y - box["height"] / 2))

    def bar(self, task: str) -> ActionChains:
        """The pointer on the first bar of a task."""
        place = self.js("report.timeline.where(report.model.taskOf.get(arguments[0]))", task)
        return self.at(place["x"], place["y"])

    def marks(self, sort: str) -> list[dict[str, Any]]:
        return list(self.js("report.timeline.drawn.filter((mark) => mark.sort === arguments[0])", sort))

    @property
    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def opened(browser: Chrome, made: dict[str, Path]) -> Iterator[Any]:
    pages: list[Page] = []

    def opened(name: str, *sets: str, **more: Any) -> Page:
        key = f"{name}{sets}{sorted(more)}"
        if key not in made:
            made[key] = reported(made[""] / f"{len(made)}.html", name, *sets, **more)
        pages.append(Page(browser, made[key]))
        return pages[-1]

    yield opened
    assert [page.complaints for page in pages] == [[] for _ in pages]
    assert [page.js("performance.getEntriesByType('resource').length") for page in pages] == [0 for _ in pages]


def test_the_page_says_what_the_run_came_to(opened: Any) -> None:
    page = opened("claim-race")
    assert page.find("#scenario").text == "claim-race"
    assert page.find("#verdict").text == "✓ ok"
    assert page.find("#replay").text == "foreman sim run claim-race --seed 0"
    figures = dict(zip(page.texts("#figures dt"), page.texts("#figures dd"), strict=True))
    told = data_of(page.path)
    assert (figures["tasks"], figures["violations"]) == ("60", "0")
    assert figures["writes refused"] == str(len(told["refused"]["t"]))
    assert "60 succeeded of 60" in page.find("#summary").text
    assert "✓ tasks.succeeded 60" in page.texts("#expect li")


def test_the_table_filters_by_words_and_by_outcome(opened: Any) -> None:
    page = opened("cascade")
    page.find("#filter").send_keys("task-1 failed")
    names = page.tasks
    assert names
    assert all(name.startswith("default/task-1") for name in names)
    assert {*page.texts("#visible .is-phase")} == {"Failed"}
    page.find("#filter").clear()
    Select(page.find("#which-tasks")).select_by_value("verdict:NO-GO")
    assert {*page.texts("#visible .is-verdict")} == {"NO-GO"}
    assert page.find("#count").text == "15 of 400"
    Select(page.find("#which-tasks")).select_by_value("")
    assert page.find("#count").text == "400 of 400"


def test_the_table_sorts_both_ways_and_only_has_the_rows_in_sight(opened: Any) -> None:
    page = opened("cascade")
    head = page.find(".is-wait button")
    for direction in ("ascending", "descending"):
        head.click()
        assert page.find(".is-wait[role=columnheader]").get_attribute("aria-sort") == direction
        waits = page.js("report.table.tasks.map((task) => report.model.tasks.claimed[task] < 0 ? -1"
                        " : report.model.tasks.claimed[task] - report.model.tasks.created[task])")  # fmt: skip
        assert waits == sorted(waits, reverse=direction == "descending")
    assert len(page.tasks) < 60


def test_a_click_on_a_row_tells_the_story_that_sim_story_tells(opened: Any) -> None:
    page = opened("three-strikes")
    row = next(each for each in page.browser.find_elements(By.CSS_SELECTOR, "#visible .is-task") if each.text == "long")
    row.click()
    told = page.js(
        "[...document.querySelectorAll('#story tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    rows = at_a_glance(explained(from_run(scenario_of("three-strikes"), None, "long")))
    assert told == [[*cells(row)] for row in rows]
    assert [row for row in rows if row["what"] == "fault"]
    assert page.canvas.get_attribute("data-task") == "default/long"
    assert page.chosen == ["default/long"]


@pytest.mark.parametrize("name", ["scheduler-failover", "lost-reply", "cascade"])
def test_stories_are_those_of_sim_story_faults_included(browser: Chrome, tmp_path: Path, name: str) -> None:
    trace = traced(tmp_path / "run.jsonl", name)
    page = Page(browser, trace.with_suffix(".html"))
    told = page.js(
        "report.model.tasks.name.map((_, task) => report.story.lines(task)"
        ".map(({ row, fault }) => fault === undefined ? report.story.cells(row) : report.story.faultCells(fault)))"
    )
    names = data_of(page.path)["tasks"]["name"]
    for number in range(0, len(names), len(names) // 12 or 1):
        assert told[number] == [[*cells(row)] for row in at_a_glance(explained(from_trace(trace, names[number])))]


def test_a_click_on_a_bar_chooses_its_task_and_escape_lets_go(opened: Any) -> None:
    page = opened("claim-race")
    page.bar("default/task-06").click().perform()
    assert page.find("#story h2").text == "default/task-06"
    assert page.find("#tab-story").get_attribute("aria-selected") == "true"
    assert page.chosen == ["default/task-06"]
    ActionChains(page.browser).send_keys(Keys.ESCAPE).perform()
    assert page.chosen == []


def test_under_the_pointer_is_the_object_as_it_was_then_with_the_arrows_to_what_led_there(opened: Any) -> None:
    page = opened("claim-race")
    page.drawn()
    assert page.canvas.get_attribute("data-arrows") == "0"
    # A task that ran for most of its only attempt: in the middle of the bar it runs.
    name = page.js(
        "(({ tasks, barsOf, bars }) => tasks.name.find((_, task) => barsOf[task].length === 1 &&"
        " [barsOf[task][0]].every((bar) => bars.claimed[bar] > 0 && bars.ended[bar] > 0 &&"
        " 3 * (bars.claimed[bar] - bars.assigned[bar]) < bars.ended[bar] - bars.claimed[bar])))(report.model)"
    )
    page.bar(name).perform()
    page.drawn()
    facts = dict(zip(page.texts("#tip dt"), page.texts("#tip dd"), strict=True))
    rows = explained(from_run(scenario_of("claim-race"), None, name))
    # Of writes that changed nothing the version is that of the one before.
    done = [row for row in rows if row["what"] in WRITES and row["outcome"] == "ok"]
    wrote = {row["version"]: row for row in reversed(done)}
    claim = next(row for row in wrote.values() if "phase=Running" in row.get("detail", ""))
    assert page.find("#tip strong").text == name
    assert (facts["phase"], facts["attempt"]) == ("Running", "1")
    assert facts["holder"] == claim["actor"]
    assert facts["resourceVersion"] == claim["version"]
    assert f"had written {claim['read']}" in page.find("#tip").text
    # Back to the creation: each write by who had read the one before.
    led, row = 0, claim
    while row.get("read"):
        led, row = led + 1, wrote[row["read"]]
    assert row["what"] == "create"
    assert page.canvas.get_attribute("data-arrows") == str(led)
    assert led >= 2
    page.at(400, 5).perform()
    assert not page.find("#tip").is_displayed()


def test_a_refused_write_points_at_what_overtook_it(opened: Any) -> None:
    page = opened("claim-race")
    page.browser.execute_script("report.view.show(0, 500000)")
    page.drawn()
    mark = next(
        each for each in page.marks("refused") if page.js("report.model.refused.row[arguments[0]]", each["place"]) >= 0
    )
    page.at(mark["x"], mark["y"]).perform()
    page.drawn()
    assert "Conflict" in page.find("#tip strong").text
    assert "overtaken by" in page.find("#tip").text
    row = page.js("report.timeline.event")
    assert {each["sort"] for each in page.js("report.timeline.arrows.of(arguments[0])", row)} == {"overtaken", "read"}


def test_wheel_drag_keys_and_buttons_change_the_time_that_is_shown(opened: Any) -> None:
    page = opened("claim-race")
    whole = page.stretch
    origin = ScrollOrigin.from_element(page.canvas, 100, 0)
    ActionChains(page.browser).scroll_from_origin(origin, 0, -240).perform()
    page.drawn()
    near = page.stretch
    assert whole[0] < near[0] < near[1] < whole[1]
    page.at(600, 5).perform()
    ActionChains(page.browser, duration=0).move_to_element(page.canvas).click_and_hold().move_by_offset(
        -120, 0
    ).release().perform()
    page.drawn()
    panned = page.stretch
    assert panned[0] > near[0]
    assert abs((panned[1] - panned[0]) - (near[1] - near[0])) <= 1
    page.find("#in").click()
    page.drawn()
    assert page.stretch[1] - page.stretch[0] < panned[1] - panned[0]
    page.browser.execute_script("document.getElementById('timeline').focus()")
    before = page.stretch
    ActionChains(page.browser).send_keys(Keys.ARROW_LEFT).perform()
    page.drawn()
    assert page.stretch[0] < before[0]
    ActionChains(page.browser).send_keys("0").perform()
    page.drawn()
    assert page.stretch == whole


def test_a_drag_along_the_axis_zooms_to_what_it_marks(opened: Any) -> None:
    page = opened("claim-race")
    left, right = (page.js("report.view.t(arguments[0] - report.timeline.painter.gutter)", x) for x in (300, 500))
    page.at(300, 10).click_and_hold().move_by_offset(200, 0).release().perform()
    page.drawn()
    pixel = (right - left) / 200
    assert page.stretch == (pytest.approx(left, abs=2 * pixel), pytest.approx(right, abs=2 * pixel))


def test_faults_and_violations_are_marked_and_lead_to_their_moment(opened: Any) -> None:
    page = opened("zombie-agent", BROKEN)
    page.drawn()
    assert page.find("#verdict").text == "✕ safety violated"
    told = data_of(page.path)
    assert {mark["place"] for mark in page.marks("violation")} == {*range(len(told["violations"]["t"]))}
    assert page.marks("fault")
    page.find("#tab-wrong").click()
    page.find("#wrong .violation").click()
    page.drawn()
    assert page.find("#story h2").text == "default/task-0"
    assert "violation" in page.texts("#story td:nth-child(3)")
    begin, end = page.stretch
    assert begin <= told["violations"]["t"][0] <= end
    mark = page.marks("violation")[0]
    page.at(mark["x"], mark["y"]).perform()
    assert page.find("#tip strong").text.startswith("violated: ")


def test_keys_go_from_mark_to_mark(opened: Any) -> None:
    page = opened("scheduler-failover")
    told = data_of(page.path)
    struck = {t for t, over in zip(told["faults"]["t"], told["faults"]["over"], strict=True) if not over}
    marks = sorted({*struck, *told["refused"]["t"]})
    seen = []
    for key in ("n", "n", "p"):
        ActionChains(page.browser).send_keys(key).perform()
        page.drawn()
        seen.append(sum(page.stretch) / 2)
    assert seen == [pytest.approx(t, abs=2) for t in (marks[0], marks[1], marks[0])]


def test_the_replay_command_makes_the_run_again(opened: Any, tmp_path: Path) -> None:
    page = opened("zombie-agent", BROKEN, replay=f"foreman sim run zombie-agent --seed 0 --set '{BROKEN}'")
    page.find("#copy").click()
    page.until("document.getElementById('copied').textContent !== ''")
    command, *words = shlex.split(page.find("#replay").text)
    assert command == "foreman"
    done = cli(*words, "-q", "--report", str(tmp_path / "again.html"))
    assert done.returncode == 3
    assert (tmp_path / "again.html").read_bytes() == page.path.read_bytes()
    page.find("#visible [role=row]").click()
    command, *words = shlex.split(page.find("#story code").text)
    assert "violation" in cli(*words).stdout


def test_the_address_remembers_the_task_and_the_stretch(opened: Any) -> None:
    page = opened("claim-race")
    page.bar("default/task-06").click().perform()
    page.find("#in").click()
    page.until("location.hash.includes('from=') && location.hash.includes('task=')")
    shown = page.stretch
    page.browser.refresh()
    page.until("document.documentElement.dataset.ready === 'yes'")
    assert page.find("#story h2").text == "default/task-06"
    assert page.stretch == shown


def test_a_hostile_name_is_only_a_name(opened: Any) -> None:
    page = opened("happy-path", change=renamed("task-00", HOSTILE))
    name = f"default/{HOSTILE}"
    task = page.js("report.model.taskOf.get(arguments[0])", name)
    page.browser.execute_script("report.select(arguments[0])", task)
    page.bar(name).perform()
    assert page.find("#story h2").text == name
    assert page.find("#tip strong").text == name
    assert page.js("document.images.length") == 0


def test_keys_move_through_the_table(opened: Any) -> None:
    page = opened("claim-race")
    page.find("#grid").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.find("#story h2").text == page.tasks[1]
    page.find("#grid").send_keys(Keys.END)
    assert page.find("#story h2").text == page.tasks[-1]
    ActionChains(page.browser).send_keys("/").perform()
    assert page.js("document.activeElement.id") == "filter"


@pytest.mark.parametrize("width", [800, 1280])
def test_nothing_is_wider_than_the_window(opened: Any, browser: Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page = opened("cascade")
        assert page.js("document.documentElement.scrollWidth") == page.js("innerWidth") == width
        assert page.canvas.rect["height"] > 150
    finally:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "width": 1280})


def test_a_trace_without_its_end_says_so_on_the_page(browser: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    assert cli("sim", "run", "happy-path", "-q", "--trace", str(path)).returncode == 0
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert cli("sim", "report", str(path)).returncode == 0
    page = Page(browser, path.with_suffix(".html"))
    assert page.find("#verdict").text == "? unknown"
    assert "ended from outside" in page.find("#notes").text
    assert page.complaints == []


def test_a_trace_of_nothing_but_its_head_is_an_empty_page(browser: Chrome, tmp_path: Path) -> None:
    path = traced(tmp_path / "run.jsonl", "happy-path")
    path.write_text(path.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    assert cli("sim", "report", str(path)).returncode == 0
    page = Page(browser, path.with_suffix(".html"))
    assert page.find("#count").text == "0 of 0"
    page.find("#next").click()
    page.find("#grid").send_keys(Keys.ARROW_DOWN)
    assert page.complaints == []


def test_ten_thousand_tasks_are_there_and_answer(opened: Any) -> None:
    page = opened(SCENARIO)
    assert page.find("#count").text == f"{TASKS:,} of {TASKS:,}"
    assert len(page.tasks) < 60
    page.find("#grid").send_keys(Keys.END)
    page.drawn()
    name = page.find("#story h2").text
    assert name == page.tasks[-1]
    assert page.texts("#story td:nth-child(3)")[0] == "create"
    page.find("#filter").send_keys(name.split("/")[1])
    assert page.tasks == [name]
    begin, end = page.stretch
    page.find("#in").click()
    page.drawn()
    assert page.stretch[1] - page.stretch[0] < end - begin
