"""Hosts and processes on simpy: what runs product code in virtual time, and how it dies.

A `Host` is a failure domain: it boots a program as a `Process`, crashes, freezes, thaws, and its wall clock may be wrong. A
`Process` is one life of the program and implements `foreman.runtime.Runtime`. Coroutines are driven straight from simpy events:
what they await is a `Wake`, which simpy fires like any event of its own. (simpy's Process would do the same, but has no way
to stop resuming: a crashed host must fall silent in mid-await without running one more line, not even a `finally`; a frozen
one must later go on from that very line.) The coroutines of a dead process are kept, so that the garbage collector does
not close them at a moment of its own choosing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

import simpy

from foreman.runtime import ProcessExit

EPOCH = 1_767_225_600
"""Unix time of virtual second 0: 2026-01-01T00:00:00Z."""
SECOND = 1_000_000

Program = Callable[["Process"], Coroutine[Any, Any, None]]


class Wake:
    """The least simpy will fire: callbacks and a value. Awaiting it yields the value."""

    __slots__ = ("_value", "callbacks")
    _ok = True

    def __init__(self, *callbacks: Callable[[Any], None]) -> None:
        self.callbacks: list[Callable[[Any], None]] | None = list(callbacks)
        self._value: Any = None

    def __await__(self) -> Generator[Wake, Any, Any]:
        return (yield self)

    def fire(self, value: Any) -> None:
        """Run the callbacks now, within the running simpy event."""
        self._value = value
        callbacks, self.callbacks = self.callbacks, None
        for callback in callbacks or ():
            callback(self)


class Task:
    """One coroutine of a process, resumed by whatever Wake it awaits."""

    __slots__ = ("coro", "name", "process")

    def __init__(self, process: Process, coro: Coroutine[Any, Any, None], name: str) -> None:
        self.process = process
        self.coro = coro
        self.name = name

    def resume(self, wake: Wake) -> None:
        process = self.process
        if not process.running:
            process.defer(self.resume, wake)
            return
        try:
            awaited = self.coro.send(wake._value)
        except StopIteration:
            process.tasks.discard(self)
        except Exception as error:
            process.tasks.discard(self)
            process.fail(self.name, error)
        else:
            awaited.callbacks.append(self.resume)


class Signal:
    """The Runtime's one-shot event."""

    __slots__ = ("_env", "_set", "_waiters")

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._set = False
        self._waiters: list[Wake] = []

    def set(self) -> None:
        if self._set:
            return
        self._set = True
        for waiter in self._waiters:
            if waiter.callbacks:
                # The waiter itself may sit in simpy's heap for its timeout: a second event takes over its callbacks.
                call = Wake(*waiter.callbacks)
                call._value = True
                waiter.callbacks = []
                self._env.schedule(call, 1, 0)  # type: ignore[arg-type]
        self._waiters.clear()

    def is_set(self) -> bool:
        return self._set

    async def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        waiter = Wake()
        self._waiters.append(waiter)
        if timeout is not None:
            waiter._value = False
            self._env.schedule(waiter, 1, round(timeout * SECOND))  # type: ignore[arg-type]
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
        self._parked: list[tuple[Callable[[Wake], None], Wake]] = []

    def now(self) -> float:
        return self.env.now / SECOND

    def wall(self) -> int:
        return EPOCH + (int(self.env.now) + self.host.skew) // SECOND

    async def sleep(self, seconds: float) -> None:
        wake = Wake()
        self.env.schedule(wake, 1, round(seconds * SECOND))  # type: ignore[arg-type]
        await wake

    def call_later(self, seconds: float, fn: Callable[[], None]) -> None:
        def fire(wake: Wake) -> None:
            if self.running:
                fn()
            else:
                self.defer(fire, wake)

        self.env.schedule(Wake(fire), 1, round(seconds * SECOND))  # type: ignore[arg-type]

    def event(self) -> Signal:
        return Signal(self.env)

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        task = Task(self, coro, name)
        self.tasks.add(task)
        self.env.schedule(Wake(task.resume), 1, 0)  # type: ignore[arg-type]

    def defer(self, resume: Callable[[Wake], None], wake: Wake) -> None:
        """What reaches a frozen process waits for the thaw; what reaches a dead one is lost."""
        if self.alive:
            self._parked.append((resume, wake))

    def freeze(self) -> None:
        self.running = False

    def thaw(self) -> None:
        self.running = True
        parked, self._parked = self._parked, []
        for resume, wake in parked:
            resume(wake)

    def die(self) -> None:
        self.alive = self.running = False
        for callback in self.on_death:
            callback()

    def fail(self, task: str, error: Exception) -> None:
        """An error left a coroutine: the process ends; its host's supervisor decides what follows."""
        if self.alive:
            self.host.exited(task, error)


class Host:
    """A machine: boots its program, loses it, gets it back."""

    def __init__(self, env: simpy.Environment, name: str, program: Program, restart_delay: int = 30 * SECOND) -> None:
        """`restart_delay`: microseconds until the supervisor restarts a program that exited by itself."""
        self.env = env
        self.name = name
        self.program = program
        self.restart_delay = restart_delay
        self.skew = 0
        self.process: Process | None = None
        self.boots = 0
        self.exits: list[tuple[int, str, Exception]] = []
        self.on_crash: Callable[[Host, str, Exception], None] | None = None
        self._graveyard: list[set[Task]] = []

    @property
    def up(self) -> bool:
        return self.process is not None

    def boot(self) -> None:
        """Start the program, unless it runs already."""
        if self.process is None:
            self.boots += 1
            self.process = Process(self)
            self.process.spawn(self._main(self.process), self.name)

    async def _main(self, process: Process) -> None:
        await self.program(process)
        if process.alive:
            # The program has ended by itself; crash() leaves nothing of it behind.
            self.crash()

    def crash(self) -> None:
        """Power cut: every coroutine stops where it is; requests already on the wire go on without their sender."""
        process, self.process = self.process, None
        if process is not None:
            process.die()
            self._graveyard.append(process.tasks)

    def terminate(self) -> None:
        """SIGTERM: ask the program to drain and end."""
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
        self.exits.append((int(self.env.now), task, error))
        self.crash()
        if not isinstance(error, ProcessExit) and self.on_crash is not None:
            self.on_crash(self, task, error)
        self.env.schedule(Wake(lambda _: self.boot()), 1, self.restart_delay)  # type: ignore[arg-type]
