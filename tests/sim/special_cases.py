"""What breaks and what keeps each check that only some scenarios have: (invariant, whether it breaks it, the deed)."""

from __future__ import annotations

from collections.abc import Callable

from court import Court

from foreman.api import Phase

Deed = Callable[[Court], None]
CASES: list[tuple[str, bool, Deed]] = []
HOUR = 3600


def breaks(invariant: str) -> Callable[[Deed], Deed]:
    return lambda deed: CASES.append((invariant, True, deed)) or deed  # type: ignore[func-returns-value]


def keeps(invariant: str) -> Callable[[Deed], Deed]:
    return lambda deed: CASES.append((invariant, False, deed)) or deed  # type: ignore[func-returns-value]


@breaks("stolen-run")
def a_namesake_gives_back_what_another_executes(court: Court) -> None:
    court.ask("")
    court.wait(1)
    court.beat()
    court.running()
    court.start()
    court.release("n1/2")


@keeps("stolen-run")
def a_namesake_gives_back_what_a_silent_one_had(court: Court) -> None:
    court.ask("")
    court.wait(1)
    court.beat()
    court.running()
    court.start()
    court.wait(91)
    court.release("n1/2")


def _leaves(court: Court) -> None:
    court.ask("checks: {departures: true}")
    court.pending()
    court.assign()
    court.node("n1", phase="Draining")
    court.wait(91)


@breaks("clean-departure")
def a_strike_for_a_node_that_leaves(court: Court) -> None:
    _leaves(court)
    court.release(strikes={"n1": 1})


@keeps("clean-departure")
def back_from_a_node_that_leaves(court: Court) -> None:
    _leaves(court)
    court.release()


def _lost(court: Court, lived: int) -> None:
    court.assign()
    court.claim()
    court.wait(lived)


def _gives_up_after(court: Court, lived: int) -> None:
    """Three claims, each of which lived `lived` seconds; the third loss ends the task."""
    court.ask("faults: [{at: 1s, fault: crash, host: n-0}]")
    court.pending()
    for count in (1, 2):
        _lost(court, lived)
        court.release(strikes={"n1": count})
    _lost(court, lived)
    told = court.condition("ClaimExpiryLimitReached", "True", "Failed")
    court.write("op", phase=Phase.FAILED, verdict="INCOMPLETE", finished_at=1, conditions=told)


@breaks("earned-end")
def given_up_for_losses_hours_apart(court: Court) -> None:
    _gives_up_after(court, 2 * HOUR)


@keeps("earned-end")
def given_up_for_three_losses_in_a_row(court: Court) -> None:
    _gives_up_after(court, 120)


def _unready(court: Court, name: str) -> None:
    court.server.patch_status("op", court.server.get("test", "FleetNode", name), {"phase": "NotReady"}, None)


def _two_sizes(court: Court) -> None:
    court.ask("checks: {stranding: 1m}")
    court.node("n2", capability={"accelerator": "metal", "total_ram_gb": 8, "available_ram_gb": 8})
    court.pending("small", requiredCapability={"minRAMGB": 4})


def _a_big_one_waits(court: Court) -> None:
    court.pending("big", requiredCapability={"minRAMGB": 16})
    court.wait(61)
    court.beat()
    court.wait(61)
    court.beat()


@breaks("stranded")
def a_small_task_on_the_big_node(court: Court) -> None:
    _two_sizes(court)
    court.assign("small", "n1")
    _a_big_one_waits(court)


@keeps("stranded")
def a_small_task_on_the_big_node_for_want_of_another(court: Court) -> None:
    _two_sizes(court)
    _unready(court, "n2")
    court.assign("small", "n1")
    court.node("n2", phase="Ready", last_heartbeat_time=2_000_000_000)
    _a_big_one_waits(court)


def _two_priorities(court: Court) -> None:
    court.ask("checks: {urgency: true}")
    court.pending("a")
    court.pending("b", priority=5)
    court.wait(2)


@breaks("urgency")
def the_less_urgent_first(court: Court) -> None:
    _two_priorities(court)
    court.assign("a")


@keeps("urgency")
def the_more_urgent_first(court: Court) -> None:
    _two_priorities(court)
    court.assign("b")
    court.assign("a", "n2")


@breaks("kept-conditions")
def a_condition_is_written_over(court: Court) -> None:
    court.ask("checks: {conditions: true}")
    court.pending()
    court.write("op", conditions=court.condition("NoNode"))
    court.write("op", conditions=court.condition("Whatever", "True", "Other"))


@keeps("kept-conditions")
def a_condition_changes_its_mind(court: Court) -> None:
    court.ask("checks: {conditions: true}")
    court.pending()
    court.write("op", conditions=court.condition("NoNode"))
    court.write("op", conditions=court.condition("FleetNodeAssigned", "True"))


def _looks(court: Court, count: int) -> None:
    court.ask("checks: {reconciles: 10}")
    court.checkers.reconciles = lambda: count
    court.pending()


@breaks("reconcile-storm")
def eleven_looks_at_one_task(court: Court) -> None:
    _looks(court, 11)


@keeps("reconcile-storm")
def ten_looks_at_one_task(court: Court) -> None:
    _looks(court, 10)
