"""Hosts and processes on simpy: what runs product code in virtual time, and how it dies.

A `Host` is a failure domain: it boots a program as a `Process`, crashes, freezes, thaws, and its wall clock may be wrong. A
`Process` is one life of the program and implements `foreman.runtime.Runtime`. Coroutines are driven straight from the clock's
calls: what they await is a `Wake`, which takes the task that waits and resumes it when fired. (simpy's Process would do the
same, but has no way to stop resuming: a crashed host must fall silent in mid-await without running one more line, not even a
`finally`; a frozen one must later go on from that very line.) The coroutines of a dead process are kept, so that the garbage
collector does not close them at a moment of its own choosing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, Protocol

from foreman.runtime import ProcessExit
from sim.clock import Clock

EPOCH = 1_767_225_600
"""Unix time of virtual second 0: 2026-01-01T00:00:00Z."""
SECOND = 1_000_000

Program = Callable[["Process"], Coroutine[Any, Any, None]]


def microseconds(seconds: float) -> int:
    """Whole microseconds. Any delay above 0 takes at least one: who waits for the rest of something must see it pass."""
    return round(seconds * SECOND) or int(seconds > 0)


class Waitable(Protocol):
    """What a coroutine may yield to its Task: something that takes the task and resumes it once."""

    waiter: Task | None


class Wake:
    """One moment that one coroutine waits for. Awaiting it gives the value it is fired with."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: Task | None = None

    def __await__(self) -> Generator[Wake, Any, Any]:
        return (yield self)

    def fire(self, value: Any) -> None:
        """Resume who waits, now; nobody may: then this does nothing."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.resume(value)


class Task:
    """One coroutine of a process, resumed by whatever it awaits."""

    __slots__ = ("_send", "coro", "name", "process")

    def __init__(self, process: Process, coro: Coroutine[Any, Any, None], name: str) -> None:
        self.process = process
        self.coro = coro
        self.name = name
        self._send: Callable[[Any], Waitable] = coro.send

    def resume(self, value: Any) -> None:
        process = self.process
        if not process.running:
            process.defer(self.resume, value)
            return
        try:
            awaited = self._send(value)
        except StopIteration:
            process.tasks.discard(self)
        except Exception as error:
            process.tasks.discard(self)
            process.fail(self.name, error)
        else:
            awaited.waiter = self


class Signal:
    """The Runtime's one-shot event."""

    __slots__ = ("_env", "_set", "_waiters")

    def __init__(self, env: Clock) -> None:
        self._env = env
        self._set = False
        self._waiters: list[Wake] = []

    def set(self) -> None:
        if self._set:
            return
        self._set = True
        for waiter in self._waiters:
            if waiter.waiter is not None:
                # Its timeout may still sit in the clock's heap: it will find nobody there.
                self._env.at(0, waiter.waiter.resume, True)
                waiter.waiter = None
        self._waiters.clear()

    def is_set(self) -> bool:
        return self._set

    async def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        waiter = Wake()
        self._waiters.append(waiter)
        if timeout is not None:
            self._env.at(microseconds(timeout), waiter.fire, False)
        return bool(await waiter)


class Process:
    """One life of a program on a host; the simulated Runtime."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.env = host.env
        self.running = True
        self.alive = True
        self.stop = Signal(self.env)
        self.tasks: set[Task] = set()
        self.on_death: list[Callable[[], None]] = []
        self._parked: list[tuple[Callable[[Any], None], Any]] = []

    def now(self) -> float:
        return self.env.now / SECOND

    def wall(self) -> int:
        return EPOCH + (self.env.now + self.host.skew) // SECOND

    async def sleep(self, seconds: float) -> None:
        wake = Wake()
        self.env.at(microseconds(seconds), wake.fire)
        await wake

    def call_later(self, seconds: float, fn: Callable[[], None]) -> None:
        self.env.at(microseconds(seconds) if seconds else 0, self._call, fn)

    def _call(self, fn: Callable[[], None]) -> None:
        if self.running:
            fn()
        else:
            self.defer(self._call, fn)

    def event(self) -> Signal:
        return Signal(self.env)

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        task = Task(self, coro, name)
        self.tasks.add(task)
        self.env.at(0, task.resume)

    def defer(self, resume: Callable[[Any], None], value: Any) -> None:
        """What reaches a frozen process waits for the thaw; what reaches a dead one is lost."""
        if self.alive:
            self._parked.append((resume, value))

    def freeze(self) -> None:
        self.running = False

    def thaw(self) -> None:
        self.running = True
        self.host.blind(self.env.now)
        parked, self._parked = self._parked, []
        for resume, value in parked:
            resume(value)

    def die(self) -> None:
        self.alive = self.running = False
        self.drop_unstarted()
        for callback in self.on_death:
            callback()

    def drop_unstarted(self) -> None:
        """Close coroutines that never ran a line; Python would complain of them."""
        for task in self.tasks:
            if inspect.getcoroutinestate(task.coro) == inspect.CORO_CREATED:
                task.coro.close()

    def fail(self, task: str, error: Exception) -> None:
        """An error left a coroutine: the process ends; its host's supervisor decides what follows."""
        if self.alive:
            self.host.exited(task, error)


class Host:
    """A machine: boots its program, loses it, gets it back."""

    def __init__(self, env: Clock, name: str, program: Program, restart_delay: int = 30 * SECOND) -> None:
        """`restart_delay`: microseconds until the supervisor restarts a program that exited by itself."""
        self.env = env
        self.name = name
        self.program = program
        self.restart_delay = restart_delay
        self.skew = 0
        self.blind_until = 0
        self.changed: list[Mapping[str, Any]] = []  # what its probe finds other than the scenario says
        self.process: Process | None = None
        self.boots = 0
        self.exits: list[tuple[int, str, Exception]] = []
        self.on_crash: Callable[[Host, str, Exception], None] | None = None
        self._graveyard: list[set[Task]] = []
        self._restart_at = -1
        self._boot_next = False

    @property
    def up(self) -> bool:
        return self.process is not None

    def blind(self, until: int) -> None:
        """It was frozen, or is told nothing, until then."""
        self.blind_until = max(self.blind_until, until)

    def boot(self) -> None:
        """Start the program, unless it runs already; one that is draining is started anew when it has ended."""
        if self.process is not None:
            self._boot_next = self.process.stop.is_set()
        else:
            self._boot_next = False
            self.boots += 1
            self.process = Process(self)
            self.process.spawn(self._main(self.process), self.name)

    async def _main(self, process: Process) -> None:
        await self.program(process)
        if process.alive:
            # The program has ended by itself; crash() leaves nothing of it behind.
            self.crash()
            if self._boot_next:
                self.boot()

    def crash(self) -> None:
        """Power cut: every coroutine stops where it is; requests already on the wire go on without their sender."""
        self._restart_at = -1
        process, self.process = self.process, None
        if process is not None:
            process.die()
            self._graveyard.append(process.tasks)

    def terminate(self) -> None:
        """SIGTERM: ask the program to drain and end."""
        self._restart_at = -1
        if self.process is not None:
            self.process.stop.set()

    def freeze(self) -> None:
        if self.process is not None:
            self.process.freeze()

    def thaw(self) -> None:
        if self.process is not None:
            self.process.thaw()

    def exited(self, task: str, error: Exception) -> None:
        """The program ended with an error. ProcessExit is its own decision; anything else is a bug to report."""
        self.exits.append((self.env.now, task, error))
        self.crash()
        if not isinstance(error, ProcessExit) and self.on_crash is not None:
            self.on_crash(self, task, error)
        self._restart_at = self.env.now + self.restart_delay
        self.env.at(self.restart_delay, self._restart)

    def _restart(self, _: None) -> None:
        """The supervisor restarts what ended by itself, unless the machine went down meanwhile."""
        if self.env.now == self._restart_at:
            self.boot()
