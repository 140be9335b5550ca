"""What a program may rely on in either world: the same stories on AsyncioRuntime and on a simulated process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from lab import Lab

from foreman.kube.runtime import AsyncioRuntime
from foreman.runtime import ProcessExit, Runtime

Story = Callable[[Runtime, list[Any]], Awaitable[None]]


def on_asyncio(story: Story) -> list[Any]:
    said: list[Any] = []

    async def play() -> None:
        runtime = AsyncioRuntime()
        await runtime.run(story(runtime, said))  # type: ignore[arg-type]

    asyncio.run(play())
    return said


def simulated(story: Story) -> list[Any]:
    said: list[Any] = []
    lab = Lab()
    process = lab.process()
    lab.run(story(process, said), process)  # type: ignore[arg-type]
    return said


@pytest.fixture(params=[on_asyncio, simulated], ids=["asyncio", "simulated"])
def play(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_time_moves_forward_by_what_was_slept(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        before = runtime.now()
        await runtime.sleep(0.02)
        said.append(runtime.now() - before >= 0.02)

    assert play(story) == [True]


def test_the_wall_clock_shows_whole_seconds(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        said.append(type(runtime.wall()))
        said.append(runtime.wall() > 1_700_000_000)

    assert play(story) == [int, True]


def test_what_is_due_later_happens_later_and_in_order(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        runtime.call_later(0.03, lambda: said.append("third"))
        runtime.call_later(0.01, lambda: said.append("second"))
        runtime.call_later(0, lambda: said.append("first"))
        said.append("now")
        await runtime.sleep(0.06)

    assert play(story) == ["now", "first", "second", "third"]


def test_a_spawned_coroutine_runs_after_the_present_step(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        async def child() -> None:
            said.append("child")
            done.set()

        done = runtime.event()
        runtime.spawn(child(), "child")
        said.append("parent")
        await done.wait()
        said.append("joined")

    assert play(story) == ["parent", "child", "joined"]


def test_a_signal_stays_set_and_wakes_all(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        signal, over = runtime.event(), runtime.event()

        async def waiter(name: str) -> None:
            said.append((name, await signal.wait(timeout=5)))
            if len(said) == 3:
                over.set()

        said.append(signal.is_set())
        for name in "ab":
            runtime.spawn(waiter(name), name)
        await runtime.sleep(0.01)
        signal.set()
        signal.set()
        await over.wait()
        said.append((await signal.wait(), await signal.wait(timeout=0), signal.is_set()))

    assert play(story) == [False, ("a", True), ("b", True), (True, True, True)]


def test_a_wait_ends_at_its_timeout(play: Any) -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        signal = runtime.event()
        said.append(await signal.wait(timeout=0.01))
        said.append(await signal.wait(timeout=0))
        said.append(signal.is_set())

    assert play(story) == [False, False, False]


# how a program ends


def test_what_a_program_raises_is_raised() -> None:
    async def story(runtime: Runtime, said: list[Any]) -> None:
        raise ProcessExit("enough")

    with pytest.raises(ProcessExit, match="enough"):
        on_asyncio(story)


@pytest.mark.parametrize("error", [ProcessExit("enough"), ZeroDivisionError("a bug")])
def test_an_error_in_any_part_ends_the_whole(error: Exception) -> None:
    said: list[str] = []

    async def story(runtime: Runtime, _: list[Any]) -> None:
        async def failing() -> None:
            raise error

        async def sibling() -> None:
            try:
                await runtime.event().wait()
            finally:
                said.append("sibling stopped")

        runtime.spawn(sibling(), "sibling")
        runtime.spawn(failing(), "failing")
        try:
            await runtime.event().wait()
        finally:
            said.append("main stopped")

    with pytest.raises(type(error), match=str(error)):
        on_asyncio(story)
    assert sorted(said) == ["main stopped", "sibling stopped"]


def test_an_error_in_a_timer_ends_the_whole_and_no_timer_fires_after_it() -> None:
    said: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError("a bug")

    async def story(runtime: Runtime, _: list[Any]) -> None:
        runtime.call_later(0, fail)
        runtime.call_later(0, lambda: said.append("fired"))
        await runtime.event().wait()

    with pytest.raises(ZeroDivisionError):
        on_asyncio(story)
    assert said == []


def test_a_program_that_returns_takes_what_it_spawned_with_it() -> None:
    said: list[str] = []

    async def story(runtime: Runtime, _: list[Any]) -> None:
        async def for_ever() -> None:
            try:
                await runtime.event().wait()
            finally:
                said.append("stopped")

        runtime.spawn(for_ever(), "for-ever")
        await runtime.sleep(0)

    on_asyncio(story)
    assert said == ["stopped"]
