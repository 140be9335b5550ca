"""The digest covers every write to the last word, and nothing but the run; the trace tells what happened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from court import Court
from support import new_agent, new_task, run, world

from foreman.api import ConfigMap, ObjectMeta
from sim.load import parse
from sim.trace import Digest, Row, Trace
from sim.world import World

RACE = """
fleet: {cpu: {count: 3, slots: 2}}
workload: {count: 20, arrivals: {poisson: 1/s}}
executor: {duration: {exponential: 5s}, verdicts: {GO: 3, NO-GO: 1}, errors: 0.1}
operators: {replicas: 2}
faults: [{at: 10s, fault: crash, host: cpu-1, for: 20s}, {at: 15s, fault: partition, host: operator-0, for: 10s}]
"""

Life = Callable[[Court], None]


def digest(life: Life) -> str:
    court = Court()
    made = Digest(lambda: court.time)
    court.server.observers.append(made.committed)
    life(court)
    return made.hexdigest()


def whole(court: Court) -> None:
    court.running()
    court.write("op", conditions=court.condition("Because"))
    court.execute()
    court.finish()


def test_the_same_writes_have_the_same_digest() -> None:
    assert digest(whole) == digest(whole)


def conditions(reason: str = "A", status: str = "False", type_: str = "Scheduled") -> Life:
    def life(court: Court) -> None:
        court.pending()
        court.write("op", conditions=court.condition(reason, status, type_))

    return life


def dropping(keep: bool) -> Life:
    """Both write another field as well; one leaves the condition, one takes it away."""

    def life(court: Court) -> None:
        court.pending()
        court.write("op", conditions=court.condition("A"))
        court.write("op", conditions=court.task().status.conditions if keep else (), handbacks=1)

    return life


def status(**changes: object) -> Life:
    def life(court: Court) -> None:
        court.running()
        court.write("n1/1", **changes)

    return life


def created(**spec: object) -> Life:
    return lambda court: court.server.create("user", new_task("a", **spec))


def labelled(**labels: str) -> Life:
    def life(court: Court) -> None:
        task = new_task("a")
        court.server.create("user", task.evolve(metadata=task.metadata.evolve(labels=labels)))

    return life


def by(actor: str) -> Life:
    return lambda court: court.server.create(actor, new_task("a"))


def after(seconds: int) -> Life:
    def life(court: Court) -> None:
        court.wait(seconds)
        court.pending()

    return life


def recorded(text: str) -> Life:
    meta = ObjectMeta(name="m", namespace="default")
    return lambda court: court.server.create("op", ConfigMap(metadata=meta, data={"audit.json": text}))


def profiled(limit: int) -> Life:
    return lambda court: court.server.create("user", new_agent("a", maxConcurrentTasks=limit))


def twice(order: str) -> Life:
    def life(court: Court) -> None:
        for name in order:
            court.server.create("user", new_task(name))

    return life


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (status(job_name="x"), status(job_name="y")),
        (status(job_name="x"), status(branch="x")),
        (status(result={"extra": {"n": 1}}), status(result={"extra": {"n": 2}})),
        (status(strikes={"n1": 1}), status(strikes={"n1": 2})),
        (conditions("A"), conditions("B")),
        (conditions(status="False"), conditions(status="True")),
        (conditions(type_="Scheduled"), conditions(type_="Running")),
        (dropping(True), dropping(False)),
        (created(priority=1), created(priority=2)),
        (created(payload={"prompt": "x"}), created(payload={"prompt": "y"})),
        (created(), created(novel=1)),
        (labelled(), labelled(a="1")),
        (labelled(a="1"), labelled(a="2")),
        (profiled(1), profiled(2)),
        (recorded("x"), recorded("y")),
        (by("user"), by("somebody")),
        (after(1), after(2)),
        (twice("ab"), twice("ba")),
    ],
)
def test_a_write_that_says_something_else_has_another_digest(one: Life, other: Life) -> None:
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


def test_the_digest_is_told_at_any_time_and_goes_on() -> None:
    court = Court()
    asked, unasked = Digest(lambda: court.time), Digest(lambda: court.time)
    court.server.observers += [asked.committed, unasked.committed]
    seen = set()
    for number in range(5):
        court.pending(f"t{number}")
        seen.add(asked.hexdigest())
    assert len(seen) == 5
    assert asked.hexdigest() == unasked.hexdigest()


def test_runs_with_one_seed_are_one_run_and_with_another_another() -> None:
    first, again, other = run(RACE, seed=1), run(RACE, seed=1), run(RACE, seed=2)
    assert first.digest.hexdigest() == again.digest.hexdigest() != other.digest.hexdigest()
    assert (first.now(), first.events) == (again.now(), again.events)


def test_watching_a_run_does_not_change_it() -> None:
    plain = run(RACE, seed=1).digest.hexdigest()
    assert world(RACE, seed=1, trace=True).run().digest.hexdigest() == plain
    assert run(RACE, seed=1, check=False).digest.hexdigest() == plain
    stepped = world(RACE, seed=1)
    stepped.advance(7_000_000)
    assert stepped.run().digest.hexdigest() == plain


@pytest.mark.parametrize("hashes", ["0", "1"])
def test_the_digest_does_not_depend_on_the_hashes_of_strings(hashes: str) -> None:
    root = Path(__file__).resolve().parents[2]
    code = "import sys; from support import run; print(run(sys.argv[1], seed=1).digest.hexdigest())"
    path = os.pathsep.join([str(root), str(root / "tests")])
    env = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": path}
    told = subprocess.run(
        [sys.executable, "-c", code, RACE], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert told.strip() == run(RACE, seed=1).digest.hexdigest()


# the log


def test_a_trace_tells_every_request_execution_and_fault_in_order() -> None:
    w = world(RACE, seed=1, trace=True).run()
    rows = list(w.trace or [])
    assert [row["t"] for row in rows] == sorted(row["t"] for row in rows)
    requests = [row for row in rows if "outcome" in row]
    assert len(requests) == sum(w.endpoint.calls.values()) + sum(row["outcome"] == "Unavailable" for row in requests)
    assert sum(row["what"] == "execute" for row in rows) == w.executions
    assert {row["detail"] for row in rows if row["what"] == "fault"} >= {"crash", "crash over", "partition"}


def test_a_trace_tells_what_lists_showed_and_watches_delivered() -> None:
    rows = list(world(RACE, seed=1, trace=True).run().trace or [])
    listed = [row for row in rows if row["what"] == "list" and "saw" in row]
    events = [row for row in rows if row["what"] == "event" and row["kind"] == "AgenticTask"]
    written = {row.get("version") for row in rows if row["what"] in ("create", "patch", "patch_status")}
    assert {version for row in listed for version in row["saw"].values()} <= written
    assert {row["version"] for row in events if row["detail"] != "DELETED"} <= written


def test_a_sink_receives_every_row_and_memory_nothing() -> None:
    rows: list[Row] = []
    log = Trace(sink=rows.append)
    World(parse(RACE, "race.yaml"), 1, trace=log).run()
    assert len(rows) > 100
    assert log.rows == []
    assert all({"t", "actor", "what"} <= row.keys() for row in rows)
