"""The schema of a scenario file: a fleet, a workload, a network, faults, and what to expect.

Key names follow Kubernetes (camelCase); durations are '1.5s', sizes whole GiB. `foreman sim schema` prints all of this as JSON
Schema for editors; `sim.load` reads files and turns what is wrong with one into a line that names file, line and path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from foreman.api import (
    AgentRole,
    AgentSpec,
    Flag,
    Int32,
    Model,
    NodeAccelerator,
    Provider,
    RequiredCapability,
    RetryPolicy,
    TaskKind,
)
from foreman.api.fields import declared
from foreman.decide.policies import POLICIES
from sim.draw import Distribution, Fixed, Weighted, distribution
from sim.fault import VERDICTS, Fault
from sim.host import SECOND
from sim.kinds import Strict, Whole, did_you_mean, one_of, refusal
from sim.listed import Listing, lines
from sim.schedule import Late
from sim.shapes import Arrivals, Batch, Independent, Shape
from sim.talk import Conversation, ModelConduct, Tokens
from sim.units import Chance, Duration, Interval

Count = Annotated[int, Whole(0, 10**9)]
Some = Annotated[int, Whole(1, 10**6)]
Few = Annotated[int, Whole(1, 100)]


def _spelt(model: type[Model]) -> BeforeValidator:
    """Refuses keys that `model` does not have: the API keeps what it does not know, in a scenario that is a slip."""
    names = [field.wire for field in declared(model)]

    def read(value: Any) -> Any:
        for key in value if isinstance(value, Mapping) else ():
            if key not in names:
                raise refusal(f"unknown key {key!r}: expected {', '.join(names)}{did_you_mean(key, names)}")
        return value

    return BeforeValidator(read)


Requires = Annotated[RequiredCapability, _spelt(RequiredCapability)]
Retry = Annotated[RetryPolicy, _spelt(RetryPolicy)]


class Operators(Strict):
    """The operator's processes. Without `leaderElection` all replicas act at once. `decision`: how long one thinks about each
    task in turn, between the state it looks at and its write; what others write meanwhile is a Conflict."""

    replicas: Few = 1
    leader_election: Flag = Field(default=False, alias="leaderElection")
    audit: Flag = True
    restart_delay: Duration = Field(default=10 * SECOND, alias="restartDelay")
    decision: Distribution = distribution("0s")

    def thinks(self) -> bool:
        return self.decision != Fixed(0)


class AgentTimes(Strict):
    """The node agents' intervals; the defaults are those of the real binary."""

    heartbeat: Interval = 30 * SECOND
    poll: Interval = 5 * SECOND
    grace: Duration = 25 * SECOND
    restart_delay: Duration = Field(default=30 * SECOND, alias="restartDelay")
    probe: Duration = 0


class NodeGroup(Strict):
    """`count` equal machines named `<group>-<number>`. `twins`: agent processes per node name (an identity clash when > 1)."""

    count: Some = 1
    slots: Few = 1
    accelerator: NodeAccelerator | None = None
    ram_gb: Count = Field(default=0, alias="ramGB")
    context_tokens: Count = Field(default=0, alias="contextTokens")
    tokens_per_second: Count = Field(default=0, alias="tokensPerSecond")
    models: tuple[str, ...] = ()
    endpoints: dict[str, Endpoint] = {}
    labels: dict[str, str] = {}
    roles: tuple[str, ...] = ("worker",)
    twins: Few = 1


class AgentProfile(Strict):
    """An Agent object that tasks may refer to by name; `spec`: what else it says, as in a manifest."""

    role: AgentRole = AgentRole.CODER
    provider: Provider = Provider.LOCAL
    requires: Requires | None = None
    model: str = ""
    max_concurrent_tasks: Some | None = Field(default=None, alias="maxConcurrentTasks")
    job_mode: Flag = Field(default=False, alias="jobMode")
    spec: Annotated[dict[str, Any], _spelt(AgentSpec)] = {}


class Endpoint(Strict):
    """A model that a node serves, how many runs at once it takes (0: no limit), and the tokens/s that these share."""

    max_concurrent: Count = Field(default=0, alias="maxConcurrent")
    tokens_per_second: Some = Field(alias="tokensPerSecond")
    prefill_tokens_per_second: Count = Field(default=0, alias="prefillTokensPerSecond")


class Behaviour(Strict):
    """How the executor fares with a task: how long it takes (or how many `tokens` it is, which take the longer the more runs
    share the model), and what comes of it. With a `conversation` the agent loop itself runs, turn by turn, against a model.
    A verdict may name the outcome that goes with it: `NO-GO:MODEL-DECIDED`, `NO-GO:ALREADY-RESOLVED`.

    `errors`, `hangs`, `nothing` are chances per attempt: the executor raises, never ends, or returns nothing at all.
    """

    duration: Distribution = distribution("10s")
    tokens: Tokens | None = None
    conversation: Conversation | None = None
    verdicts: Weighted[str] = Weighted[str]({"GO": 1})
    errors: Chance = 0.0
    hangs: Chance = 0.0
    nothing: Chance = 0.0

    @field_validator("verdicts")
    @classmethod
    def _known_verdicts(cls, verdicts: Weighted[str]) -> Weighted[str]:
        for told in verdicts.root:
            word = told.partition(":")[0]
            if word not in VERDICTS:
                near = did_you_mean(word, VERDICTS)
                raise refusal(f"unknown verdict {word!r}: expected {', '.join(VERDICTS)}{near}")
        return verdicts

    @model_validator(mode="after")
    def _at_most_certain(self) -> Behaviour:
        if self.errors + self.hangs + self.nothing > 1:
            raise refusal("expected errors + hangs + nothing to be at most 1")
        return self


class TaskClass(Strict):
    """A kind of task in the mix; `weight` is its share. What it does not say, the scenario's `executor` says."""

    weight: Annotated[int, Whole(0, 10**6)] = 1
    kind: TaskKind = TaskKind.FREEFORM
    requires: Requires | None = None
    agent: str = ""
    priority: Int32 = 0
    timeout: Duration = 0
    retry: Retry | None = None
    executor: Behaviour | None = None


class Workload(Strict):
    """`count` tasks named `<name>-<number>`. `ttl`: finished tasks are deleted after this long (0: kept).

    `listed`: when each task comes, how long it takes and which class of the mix it is of, instead of arrivals and weights; then
    `count` takes the first so many (default: all).
    """

    count: Count
    name: str = "task"
    namespace: str = "default"
    arrivals: Arrivals = Batch()
    shape: Shape = Independent()
    mix: dict[str, TaskClass] = {"any": TaskClass()}
    listed: Listing = ()
    ttl: Duration = 0

    @model_validator(mode="before")
    @classmethod
    def _all_of_the_list(cls, data: Any) -> Any:
        return {"count": lines(data["listed"]), **data} if isinstance(data, Mapping) and "listed" in data else data

    @model_validator(mode="after")
    def _list_fits(self) -> Workload:
        if self.listed:
            if "arrivals" in self.model_fields_set:
                raise refusal("listed says when tasks come: leave arrivals out")
            if self.count > len(self.listed):
                raise refusal(f"expected count to be at most {len(self.listed)}, the tasks that are listed")
            for of in dict.fromkeys(work.of for work in self.listed):
                if of not in self.mix:
                    raise refusal(f"listed names a class {of!r}: expected one of the mix{did_you_mean(of, self.mix)}")
        return self

    @model_validator(mode="after")
    def _nothing_awaited_is_deleted(self) -> Workload:
        if self.ttl and not isinstance(self.shape, Independent):
            raise refusal(
                "ttl would delete tasks that others depend on: leave ttl out, or let the shape be independent"
            )
        return self

    @field_validator("mix")
    @classmethod
    def _some_weight(cls, mix: dict[str, TaskClass]) -> dict[str, TaskClass]:
        if not any(each.weight for each in mix.values()):
            raise refusal("expected at least one class with a weight above 0")
        return mix


class TaskSeed(Strict):
    """One task written out: its spec as in a manifest, and when it is created."""

    spec: dict[str, Any]
    at: Duration = 0
    namespace: str = "default"
    executor: Behaviour | None = None


class WorkloadSeed(Strict):
    """One Workload written out: its spec as in a manifest, `issues` of which may be a count, and when it is created.

    `executor`: how its tasks fare, by kind (`issue-fix`, `verify`, `review` ...) or by a pattern of step names (`code-3`,
    `review-*-r1`); the first that fits counts, and what none does, the scenario's `executor` says.
    """

    spec: dict[str, Any]
    at: Duration = 0
    namespace: str = "default"
    executor: dict[str, Behaviour] = {}

    @field_validator("spec")
    @classmethod
    def _counted_issues(cls, spec: dict[str, Any]) -> dict[str, Any]:
        count = spec.get("issues")
        if isinstance(count, int) and not isinstance(count, bool):
            return {**spec, "issues": list(range(1, count + 1))}
        return spec


class Network(Strict):
    """One-way delays between every host and the API server; few distinct values find more races than a smooth spread."""

    latency: Distribution = distribution({"choices": ["1ms", "1ms", "9ms"]})
    watch: Distribution = distribution({"choices": ["1ms", "1ms", "9ms"]})
    loss: Chance = 0.0


class ApiServers(Strict):
    """`replicas` API servers over one store. `lag` is how far their watch caches trail, one value for each or one for all;
    with `staleLists` lists are answered from those caches."""

    replicas: Few = 1
    lag: tuple[Duration, ...] = ()
    stale_lists: Flag = Field(default=False, alias="staleLists")
    history: Some = 20_000


class Contention(Strict):
    """All executions share one thing (a model server, memory) that serves `capacity` of them at full speed (0: any number).
    Beyond that it thrashes: twice as many run at a quarter of the speed each."""

    capacity: Count = 0


class Checks(Strict):
    """Checks beyond those of every run. `linearizable`: of each task's claim, from what the callers saw. `differential`: the
    end is that of the run without faults. The others are the invariants of similar names (`foreman sim run` tells them):
    durations and counts are what they tolerate."""

    linearizable: Flag = False
    differential: Flag = False
    idle: Duration = 0
    passed_over: Duration = Field(default=0, alias="passedOver")
    attended: Duration = 0
    nodes: Duration = 0
    recovery: Duration = 0
    crowding: Flag = False
    departures: Flag = False
    stranding: Duration = 0
    urgency: Flag = False
    conditions: Flag = False
    reconciles: Count = 0


class Bug(Strict):
    """The real bug a scenario of the zoo brings back: its name there, where to read of it, and what it was, in a line."""

    id: str
    link: Annotated[str, Field(pattern="^https://")]
    title: str


class Recorded(Strict):
    """Of a counterexample: the version of Foreman that wrote it, what it breaks, and the digest of its run."""

    foreman: str
    violates: str
    digest: str


class Scenario(Strict):
    """A whole experiment. `until` ends it at the latest; it ends earlier when every task has ended and the faults are over.

    With `heartbeats: elided` those that would change nothing are left out: the same comes of it, in a fraction of the time.
    With a `schedule` every message, boot, arrival and work is as quick as its distribution allows, except what is listed there.
    `allowCycles` and `allowMissing` admit tasks that wait for each other, or name tasks and agents that do not exist.
    """

    name: str = ""
    story: str = ""
    seed: Annotated[int, Whole(0, 2**63 - 1)] = 0
    until: Interval = 3600 * SECOND
    linger: Duration = 0
    policy: one_of(POLICIES, "policy") = "first-fit"  # type: ignore[valid-type]
    heartbeats: Literal["exact", "elided"] = "exact"
    operators: Operators = Operators()
    agent: AgentTimes = AgentTimes()
    fleet: dict[str, NodeGroup]
    agents: dict[str, AgentProfile] = {}
    workload: Workload | None = None
    tasks: dict[str, TaskSeed] = {}
    workloads: dict[str, WorkloadSeed] = {}
    executor: Behaviour = Behaviour()
    contention: Contention = Contention()
    model: ModelConduct = ModelConduct()
    network: Network = Network()
    apiserver: ApiServers = ApiServers()
    schedule: tuple[Late, ...] | None = None
    faults: tuple[Fault, ...] = ()
    mutations: tuple[str, ...] = ()
    checks: Checks = Checks()
    bug: Bug | None = None
    recorded: Recorded | None = None
    expect: dict[str, Any] = {}
    allow_cycles: Flag = Field(default=False, alias="allowCycles")
    allow_missing: Flag = Field(default=False, alias="allowMissing")

    @field_validator("fleet")
    @classmethod
    def _some_node(cls, fleet: dict[str, NodeGroup]) -> dict[str, NodeGroup]:
        if not fleet:
            raise refusal("expected at least one group of nodes, e.g. fleet: {cpu: {count: 3}}")
        return fleet

    @field_validator("mutations")
    @classmethod
    def _known_mutations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from sim.mutations import MUTATIONS

        for name in names:
            if name not in MUTATIONS:
                near = did_you_mean(name, MUTATIONS)
                raise refusal(f"unknown mutation {name!r}: expected {', '.join(sorted(MUTATIONS))}{near}")
        return names

    def behaviours(self) -> Iterator[Behaviour]:
        """All that are written in it."""
        yield self.executor
        mix = self.workload.mix.values() if self.workload else ()
        yield from (each.executor for each in (*mix, *self.tasks.values()) if each.executor is not None)
        yield from (each for seed in self.workloads.values() for each in seed.executor.values())

    def converses(self) -> bool:
        """Whether the agent loop runs in it."""
        return any(each.conversation is not None for each in self.behaviours())
