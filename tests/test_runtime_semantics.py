"""What a simulated process may rely on, and how it ends: sim/host.py and the calls of sim/cluster.py, seen from a program."""

from __future__ import annotations

from typing import Any

import pytest
from support import advance, new_task, run, task, unharmed, world

from foreman.cluster import Unavailable
from foreman.runtime import ProcessExit
from sim.clock import Clock
from sim.cluster import SimCluster
from sim.hold import Hold
from sim.host import SECOND, Host, Process

IDLE = "fleet: {cpu: {count: 1}}\nworkload: {count: 0}\nnetwork: {latency: 1ms, watch: 1ms}\noperators: {replicas: 1}"


class Machine:
    """A host whose program is `main(process, said)`; `said` collects what it says and when, in seconds."""

    def __init__(self, main: Any, restart: float = 30) -> None:
        self.clock = Clock()
        self.said: list[Any] = []
        self.host = Host(self.clock, "m", lambda process: main(process, self.said.append), round(restart * SECOND))
        self.host.boot()

    def until(self, seconds: float) -> list[Any]:
        self.clock.run(until=round(seconds * SECOND))
        return self.said


async def napping(process: Process, say: Any) -> None:
    try:
        for _ in range(100):
            say(process.now())
            await process.sleep(1)
    finally:
        say("finally")


async def twice(process: Process, say: Any) -> None:
    """Two coroutines on one clock, one ahead of the other."""

    async def other() -> None:
        while True:
            await process.sleep(1)
            say(f"other {process.now():g}")

    process.spawn(other(), "other")
    while True:
        await process.sleep(1)
        say(f"main {process.now():g}")


# crash


def test_a_crash_stops_a_coroutine_in_mid_await_without_its_finally():
    machine = Machine(napping)
    machine.until(2.5)
    machine.host.crash()
    assert machine.until(60) == [0, 1, 2]
    assert not machine.host.up


def test_a_rebooted_host_starts_its_program_anew_beside_the_remains_of_the_old_life():
    machine = Machine(napping)
    machine.until(1.5)
    machine.host.crash()
    machine.host.boot()
    assert machine.until(3) == [0, 1, 1.5, 2.5]
    assert machine.host.boots == 2


def test_to_boot_a_running_host_does_nothing():
    machine = Machine(napping)
    machine.until(0.5)
    process = machine.host.process
    machine.host.boot()
    assert machine.host.process is process
    assert machine.until(1.5) == [0, 1]


def test_a_timer_of_a_dead_process_does_nothing():
    async def main(process: Process, say: Any) -> None:
        process.call_later(2, lambda: say("timer"))
        await process.sleep(100)

    machine = Machine(main)
    machine.until(1)
    machine.host.crash()
    assert machine.until(10) == []


def test_a_crash_tells_whoever_asked_to_be_told():
    machine = Machine(napping)
    machine.until(1)
    assert machine.host.process is not None
    machine.host.process.on_death.append(lambda: machine.said.append("died"))
    machine.host.crash()
    assert machine.said[-1] == "died"


# freeze and thaw


def test_a_frozen_process_goes_on_from_the_very_line_it_stood_at():
    machine = Machine(napping)
    machine.until(2.5)
    machine.host.freeze()
    assert machine.until(60) == [0, 1, 2]
    machine.host.thaw()
    assert machine.until(62.5) == [0, 1, 2, 60, 61, 62]


def test_what_came_due_while_frozen_happens_at_the_thaw_in_the_order_it_came():
    machine = Machine(twice)
    machine.until(1.5)
    expected = machine.said[:]
    machine.host.freeze()
    machine.until(10)
    machine.host.thaw()
    assert machine.said == [*expected, *(each.replace(" 1", " 10") for each in expected)]


def test_timers_of_a_frozen_process_fire_at_the_thaw_in_order():
    async def main(process: Process, say: Any) -> None:
        process.call_later(3, lambda: say("late"))
        process.call_later(2, lambda: say("early"))
        await process.sleep(100)

    machine = Machine(main)
    machine.until(1)
    machine.host.freeze()
    assert machine.until(10) == []
    machine.host.thaw()
    assert machine.said == ["early", "late"]


def test_a_host_that_crashes_while_frozen_never_thaws():
    machine = Machine(napping)
    machine.until(1.5)
    machine.host.freeze()
    machine.until(5)
    machine.host.crash()
    machine.host.thaw()
    assert machine.until(10) == [0, 1]


# signals


def test_a_signal_that_is_never_set_ends_the_wait_at_its_timeout():
    async def main(process: Process, say: Any) -> None:
        say(await process.event().wait(timeout=2))
        say(process.now())
        await process.sleep(100)

    assert Machine(main).until(5) == [False, 2]


def test_a_signal_set_in_time_wakes_all_who_wait_once():
    async def main(process: Process, say: Any) -> None:
        signal = process.event()

        async def waiter(name: str, timeout: float | None) -> None:
            say((name, await signal.wait(timeout=timeout), process.now()))

        process.spawn(waiter("patient", None), "patient")
        process.spawn(waiter("hasty", 5), "hasty")
        process.call_later(3, signal.set)
        process.call_later(4, signal.set)
        await process.sleep(100)

    assert Machine(main).until(50) == [("patient", True, 3), ("hasty", True, 3)]


def test_a_signal_stays_set():
    async def main(process: Process, say: Any) -> None:
        signal = process.event()
        signal.set()
        say((signal.is_set(), await signal.wait(), await signal.wait(timeout=0), process.now()))
        await process.sleep(100)

    assert Machine(main).until(5) == [(True, True, True, 0)]


def test_however_short_a_delay_it_passes():
    """Else who sleeps for the rest of an interval, of which floats leave a speck, would loop at one moment for ever."""

    async def main(process: Process, say: Any) -> None:
        await process.sleep(1e-12)
        say(process.now())
        await process.event().wait(timeout=1e-12)
        say(process.now())
        process.call_later(1e-12, lambda: say(process.now()))
        await process.sleep(0)
        say(process.now())
        await process.sleep(100)

    assert Machine(main).until(1) == [1e-6, 2e-6, 2e-6, 3e-6]


# ends


@pytest.mark.parametrize("error", [ProcessExit("time to go"), ValueError("a bug")])
def test_an_exception_that_leaves_a_coroutine_ends_the_process_and_the_supervisor_starts_another(error):
    async def main(process: Process, say: Any) -> None:
        async def fails() -> None:
            await process.sleep(1)
            raise error

        say(process.now())
        if process.host.boots == 1:
            process.spawn(fails(), "part")
        await napping(process, say)

    machine = Machine(main, restart=30)
    crashes: list[str] = []
    machine.host.on_crash = lambda host, name, error: crashes.append(name)
    assert machine.until(32.5) == [0, 0, 1, 31, 31, 32]
    assert machine.host.exits == [(SECOND, "part", error)]
    assert crashes == ([] if isinstance(error, ProcessExit) else ["part"])


def test_a_program_that_returns_is_not_restarted():
    async def main(process: Process, say: Any) -> None:
        process.spawn(napping(process, say), "nap")
        await process.stop.wait()

    machine = Machine(main)
    machine.until(1.5)
    machine.host.terminate()
    assert machine.until(100) == [0, 1]
    assert not machine.host.up
    assert machine.host.exits == []


def test_the_wall_clock_may_be_wrong_the_elapsed_time_never_is():
    async def main(process: Process, say: Any) -> None:
        before = process.now(), process.wall()
        process.host.skew = -3600 * SECOND
        await process.sleep(10)
        say((process.now() - before[0], process.wall() - before[1]))
        await process.sleep(100)

    assert Machine(main).until(20) == [(10, -3590)]


# calls


class Caller:
    """A host in a small world, whose program creates a task and says what it hears."""

    def __init__(self) -> None:
        self.world = world(IDLE)
        self.heard: list[Any] = []
        self.host = Host(self.world.env, "user", self._main)
        advance(self.world, 20)
        self.host.boot()

    async def _main(self, process: Process) -> None:
        cluster = SimCluster(self.world.endpoint, self.world.links["user"], process, "caller", "user")
        try:
            made = await cluster.create(new_task("wanted", priority=1))
            self.heard.append(made.metadata.name)
        except Unavailable as error:
            self.heard.append(str(error))
        await process.sleep(1000)

    @property
    def exists(self) -> bool:
        return "default/wanted" in self.world.server.tables["AgenticTask"]


def test_a_request_outlives_its_sender():
    caller = Caller()
    advance(caller.world, 0.0005)
    caller.host.crash()
    assert not caller.exists
    advance(caller.world, 1)
    assert caller.exists
    assert caller.heard == []


def test_an_answer_reaches_a_frozen_process_at_its_thaw():
    caller = Caller()
    advance(caller.world, 0.0005)
    caller.host.freeze()
    advance(caller.world, 100)
    assert caller.exists
    assert caller.heard == []
    caller.host.thaw()
    assert caller.heard == ["wanted"]


def test_a_held_request_arrives_when_released_and_not_before():
    caller = Caller()
    with Hold(caller.world.endpoint, verb="create", actor="caller") as hold:
        advance(caller.world, 100)
        assert len(hold.held) == 1
        assert not caller.exists
        assert caller.heard == []
    assert caller.exists
    advance(caller.world, 1)
    assert caller.heard == ["wanted"]


@pytest.mark.parametrize(("fate", "applied"), [("drop", False), ("lose-reply", True)])
def test_a_call_without_an_answer_ends_in_unavailable_whether_or_not_it_was_applied(fate, applied):
    caller = Caller()
    with Hold(caller.world.endpoint, verb="create", actor="caller", fate=fate):
        advance(caller.world, 9)
        assert caller.heard == []
        advance(caller.world, 2)
    assert caller.heard == ["create timed out"]
    assert caller.exists is applied


def test_a_hold_catches_no_more_than_its_limit_and_only_what_matches():
    w = world("fleet: {cpu: {count: 1}}\ntasks: {a: {spec: {kind: freeform, payload: {}}}}")
    with w.hold(verb="patch_status", actor="cpu-0", kind="AgenticTask", key="default/a", limit=1) as claims:
        with w.hold(verb="patch_status", actor="cpu-0", kind="FleetNode", where=lambda r: False) as none:
            advance(w, 20)
        assert (claims.caught, none.caught) == (1, 0)
        assert task(w, "a").status.phase == "Scheduled"
    advance(w, 20)
    assert claims.caught == 1
    assert task(w, "a").status.phase == "Succeeded"


def test_a_machine_booted_while_it_still_drains_starts_again_when_it_has_ended() -> None:
    w = run(
        """
        fleet: {node: {count: 1}}
        workload: {count: 2, arrivals: {every: 40s}}
        executor: {duration: 20s}
        faults: [{at: 10s, fault: drain, host: node-0, for: 2s}]
        until: 10m
        """
    )
    assert w.stats.landed == 2
    assert w.hosts["node-0"].boots == 2
    unharmed(w)
