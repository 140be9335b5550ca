"""Kubernetes Events: what is news, and that telling it never blocks, floods or fails anybody. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab
from support import new_node, new_task, until, world
from workload_kit import child, decided, envelope, planned, workload

from foreman.api import KubeEvent, WorkloadPhase, merge, with_condition
from foreman.cluster import Forbidden, NotFound
from foreman.kube.events import BURST, FLUSH_SECONDS, PER_SECOND, QUEUE, SAME_SECONDS, News, Recorder, news
from foreman.kube.witness import Witness
from sim.host import EPOCH
from sim.mutations import Product

WHAT = News("Claimed", "claimed by n1", good=True)


class Desk:
    """A recorder on a simulated cluster, and tasks to tell about."""

    def __init__(self, wrap: Any = lambda cluster: cluster) -> None:
        self.lab = Lab()
        self.process = self.lab.process("operator")
        self.recorder = Recorder(wrap(self.lab.client(self.process)), self.process, "foreman-operator", "op_1a2b", "op")
        self.task = self.lab.server.create("test", new_task("t"))

    def events(self) -> list[KubeEvent]:
        return [event for _, event in sorted(self.lab.server.tables["Event"].items())]


def test_an_event_says_what_kubectl_describe_looks_for():
    desk = Desk()
    desk.recorder.tell(desk.task, WHAT)
    desk.lab.advance(1)
    (event,) = desk.events()
    about = event.involved_object
    assert (about.api_version, about.kind, about.namespace, about.name, about.uid) == (
        "foreman.llmkube.dev/v1alpha1",
        "AgenticTask",
        "default",
        "t",
        desk.task.metadata.uid,
    )
    assert event.key == "default/t.1a2b1"
    assert (event.type, event.reason, event.message, event.count) == ("Normal", "Claimed", "claimed by n1", 1)
    assert (event.source.component, event.source.host) == ("foreman-operator", "op")
    assert (event.reporting_component, event.reporting_instance) == ("foreman-operator", "op_1a2b")
    assert event.first_timestamp == event.last_timestamp == EPOCH


def test_events_about_a_cluster_scoped_object_are_in_default():
    desk = Desk()
    desk.recorder.tell(desk.lab.server.create("test", new_node("n1")), News("HeartbeatStale", "silent", good=False))
    desk.lab.advance(1)
    (event,) = desk.events()
    assert (event.metadata.namespace, event.involved_object.namespace, event.type) == ("default", "", "Warning")


def test_the_same_news_raises_a_count():
    desk = Desk()
    for _ in range(3):
        desk.recorder.tell(desk.task, WHAT)
        desk.lab.advance(60)
    (event,) = desk.events()
    assert (event.count, event.first_timestamp, event.last_timestamp) == (3, EPOCH, EPOCH + 120)


def test_the_same_news_much_later_is_an_event_of_its_own():
    desk = Desk()
    for _ in range(2):
        desk.recorder.tell(desk.task, WHAT)
        desk.lab.advance(SAME_SECONDS + 1)
    assert [event.count for event in desk.events()] == [1, 1]


def test_an_event_that_the_server_has_forgotten_is_written_anew():
    desk = Desk()
    desk.recorder.tell(desk.task, WHAT)
    desk.lab.advance(1)
    desk.lab.server.delete("test", desk.events()[0])
    desk.recorder.tell(desk.task, WHAT)
    desk.lab.advance(1)
    assert [(event.key, event.count) for event in desk.events()] == [("default/t.1a2b2", 1)]


def test_a_flood_is_slowed_down_and_what_does_not_fit_is_dropped():
    desk = Desk()
    for number in range(QUEUE + 10):
        desk.recorder.tell(desk.task, WHAT._replace(message=f"news {number}"))
    assert desk.recorder.dropped == 10
    desk.lab.advance(1)
    assert BURST <= len(desk.events()) <= BURST + PER_SECOND + 1
    desk.lab.advance(QUEUE / PER_SECOND)
    assert len(desk.events()) == desk.recorder.written == QUEUE


def test_an_api_that_is_away_costs_the_event_and_nothing_else():
    desk = Desk()
    desk.lab.endpoint.fail()
    desk.recorder.tell(desk.task, WHAT)
    desk.lab.advance(30)
    desk.lab.endpoint.recover()
    desk.recorder.tell(desk.task, WHAT)
    desk.lab.advance(1)
    assert [event.count for event in desk.events()] == [1]
    assert (desk.recorder.written, desk.recorder.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("error", "off"),
    [
        (Forbidden("events is forbidden"), True),
        (NotFound("the server could not find the requested resource"), True),
        (NotFound('namespaces "gone" not found'), False),
    ],
)
def test_without_the_permission_or_the_api_it_falls_silent_with_one_line(caplog, error, off):
    class Refusing:
        async def create(self, obj: Any) -> Any:
            raise error

    desk = Desk(lambda cluster: Refusing())
    for number in range(5):
        desk.recorder.tell(desk.task, WHAT._replace(message=str(number)))
        desk.lab.advance(1)
    assert desk.recorder.off is off
    assert desk.recorder.dropped == 5
    assert len(caplog.records) == off


def test_what_is_told_just_before_the_end_is_still_written():
    desk = Desk()

    async def end() -> float:
        for number in range(5):
            desk.recorder.tell(desk.task, WHAT._replace(message=str(number)))
        await desk.recorder.flush()
        return desk.lab.now()

    assert desk.lab.run(end(), desk.process) < FLUSH_SECONDS
    assert desk.recorder.written == 5


def test_the_end_does_not_wait_for_long():
    desk = Desk()
    desk.lab.endpoint.intercept = lambda request: "drop"

    async def end() -> float:
        desk.recorder.tell(desk.task, WHAT)
        await desk.recorder.flush()
        return desk.lab.now()

    assert desk.lab.run(end(), desk.process) == FLUSH_SECONDS


# what is news

STORY = """
story: A fleet on a bad day.
fleet: {node: {count: 2}}
workload:
  count: 8
  shape: {chain: {length: 2}}
  arrivals: {every: 1s}
  mix: {work: {retry: {maxAttempts: 2, backoffSeconds: 1}}}
executor: {duration: 3s, verdicts: {GO: 1, NO-GO: 1}, errors: 0.3}
faults:
  - {at: 9s, fault: crash, host: node-0, for: 5m}
  - {at: 20s, fault: drain, host: node-1, for: 5s}
until: 1h
"""


def told(text: str, *sets: str) -> list[tuple[str, News]]:
    """(who wrote, what is news of it) in order, over a whole run."""
    heard: list[tuple[str, News]] = []

    def wrap(cluster: Any) -> Witness:
        witness = Witness(cluster)
        who = cluster.role

        def written(old: Any, new: Any) -> None:
            what = news(old, new)
            if what is not None:
                heard.append((who, what))

        witness.on_written.append(written)
        return witness

    w = world(text, *sets, product=Product(wrap=wrap))
    w.run()
    assert w.stats.settled == w.total
    return heard


def test_a_bad_day_is_told_by_whoever_did_it():
    heard = told(STORY)
    by = {(who, what.reason, what.good) for who, what in heard}
    assert by >= {
        ("operator", "FleetNodeAssigned", True),
        ("agent", "Claimed", True),
        ("agent", "ExecutorSucceeded", True),
        ("agent", "ExecutorError", False),
        ("operator", "UpstreamFailed", False),
        ("operator", "ClaimExpired", False),
        ("operator", "HeartbeatStale", False),
        ("agent", "Draining", True),
    }
    assert all(what.message for _, what in heard)


def test_an_end_is_told_with_its_verdict():
    messages = {what.message for _, what in told(STORY) if what.reason == "ExecutorSucceeded"}
    assert {message.partition(":")[0] for message in messages} == {"GO", "NO-GO"}


def test_several_operators_tell_a_thing_once():
    """The one whose write landed tells it, not everyone who watches."""
    heard = told(
        "story: Three operators.\noperators: {replicas: 3}\nfleet: {node: {count: 3}}\nworkload: {count: 20}\n"
        "executor: {duration: 1s}\nuntil: 1h\nlinger: 1s\n"  # for the answer to the last write
    )
    reasons = [what.reason for _, what in heard if what.reason in ("FleetNodeAssigned", "Claimed", "ExecutorSucceeded")]
    assert sorted(set(reasons)) == ["Claimed", "ExecutorSucceeded", "FleetNodeAssigned"]
    assert reasons.count("ExecutorSucceeded") == reasons.count("Claimed") == 20


def test_a_heartbeat_and_a_condition_are_no_news():
    node = new_node("n1")
    assert news(node, node.evolve(status=node.status.evolve(last_heartbeat_time=5))) is None
    task = new_task("t")
    waiting = with_condition((), "Scheduled", False, "NoNode", "0/0 nodes fit", 0)
    assert news(task, task.evolve(status=task.status.evolve(conditions=waiting))) is None


def test_news_come_while_the_cluster_works():
    """In one world with everything else: Events are written for the tasks of a run."""
    w = world("story: x\nfleet: {node: {count: 1}}\nworkload: {count: 1}\nexecutor: {duration: 1s}\nuntil: 1h\n")
    until(w, lambda: "operator-0" in w.operators)
    operator = w.operators["operator-0"]
    recorder = Recorder(operator.cluster, operator.runtime, "foreman-operator", "op_1", "op")
    operator.tasks.listen(lambda key, old, new: old and new and recorder.tell(new, WHAT))
    until(w, lambda: w.stats.settled == 1)
    until(w, lambda: bool(w.server.tables["Event"]))
    assert not w.crashes


def test_a_workload_tells_of_its_phases_and_of_what_was_resolved_already():
    """Upstream: the AlreadyResolved event, with and without resolvedBy, each issue with its own evidence."""
    resolved = [
        child("code-7", "Succeeded", "NO-GO", envelope("ALREADY-RESOLVED")),
        child("code-5", "Succeeded", "NO-GO", envelope("ALREADY-RESOLVED", resolvedBy="abc123")),
    ]
    old = planned(workload(issues=[7, 5], verifierAgentRef=None, reviewerAgentRefs=None), resolved)
    new = old.evolve(status=merge(old.status, decided(old, resolved).changes))
    said = news(old, new)
    assert (said.reason, said.good) == ("AlreadyResolved", True)
    assert said.message == "2 issue(s) already resolved at run time: #5 by abc123, #7"
    assert news(new, new) is None
    failed = new.evolve(status=new.status.evolve(phase=WorkloadPhase.FAILED))
    assert news(new, failed).good is False
