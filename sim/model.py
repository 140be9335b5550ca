"""Scripted models in the simulator: the product's native executor and agent loop, on models that say what a scenario draws."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from foreman.api import Agent, Provider, Result
from foreman.executors import Execution
from foreman.executors.address import Address
from foreman.executors.git.plan import branch_name
from foreman.executors.loop import Overflow, Request, RuntimeLeash, ToolCall, Transient, Turn, Usage, limits_of
from foreman.executors.loop.compaction import CHARACTERS_PER_TOKEN, size
from foreman.executors.loop.ending import MODEL_DECIDED, PROMOTED
from foreman.executors.loop.pictures import Picture
from foreman.executors.loop.submission import NAME as SUBMIT
from foreman.executors.native import NativeExecutor, Parts
from foreman.executors.outcome import Published
from foreman.executors.recipes import ClusterRecipes
from foreman.executors.tools.protocol import Answer
from foreman.executors.transcripts import Attempt
from sim.checkers.models import ModelCheck
from sim.checkers.special import Check
from sim.draw import Stream
from sim.executor import Plan, Worker
from sim.host import SECOND, Process
from sim.scenario import Scenario
from sim.serving import Serving
from sim.talk import Conversation, RateLimit, Span

ADDRESS = "http://model.simulated/v1"
EDITS = ("str_replace", "write_file")


def drawn(stream: Stream, span: Span) -> int:
    low, high = span
    return low + stream.below(high - low + 1)


class Turnstile:
    """A rate limit: who comes too early is told when to come. Times in microseconds."""

    def __init__(self, limit: RateLimit) -> None:
        self.interval = limit.requests
        self.slack = (limit.burst - 1) * limit.requests
        self.next = 0

    def wait(self, now: int) -> int:
        """How long until a request is answered; 0: it is let in now."""
        early = self.next - self.slack - now
        if early > 0:
            return early
        self.next = max(self.next, now) + self.interval
        return 0


class Models:
    """All models of a run of the simulator, and what was asked of them. `native`: the executor that runs."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        now: Callable[[], int],
        native: type[NativeExecutor],
        checks: Iterable[Check],
    ) -> None:
        self.conduct = scenario.model
        self.seed = seed
        self.now = now
        self.native = native
        self.check = next((each for each in checks if isinstance(each, ModelCheck)), None)
        self.turnstiles: dict[str, Turnstile] = {}
        self.counted: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.retry_after = scenario.model.retry_after.sampler(Stream(seed, "model/retry-after"))

    def worker(self, process: Process, cluster: Any, serving: Serving) -> Worker:
        """How the runs of one process are worked on."""
        recipes = ClusterRecipes(cluster, process, None, ADDRESS)  # type: ignore[arg-type]

        async def work(execution: Execution, plan: Plan) -> Result | None:
            assert plan.conversation is not None
            stream = Stream(self.seed, f"model/{execution.task.key}/{execution.attempt}")
            desk = Desk(process, execution, plan.conversation, stream)
            parts = Parts(
                recipes=recipes,
                desk=lambda execution, agent: desk,
                model=lambda address, agent: ScriptedModel(
                    self, process, serving, address, agent, execution, plan, stream
                ),
                leash=partial(RuntimeLeash, process),
                transcripts=Untold(),
                draw=stream.below,
                close=_close,
            )
            result = await self.native(process, parts).execute(execution)
            self._ended(result)
            return result

        return work

    def turnstile(self, model: str) -> Turnstile | None:
        """What all runs by this model go through, on whichever machine."""
        if self.conduct.rate_limit is not None and model not in self.turnstiles:
            self.turnstiles[model] = Turnstile(self.conduct.rate_limit)
        return self.turnstiles.get(model)

    def _ended(self, result: Result | None) -> None:
        if result is None:
            return
        extra = result.extra
        self.ends[result.failure_reason or result.verdict] += 1
        self.counted["runs"] += 1
        self.counted["turns"] += extra.get("turnCount", 0)
        self.counted["retries"] += extra.get("retryCount", 0)
        usage = extra.get("usage") or {}
        self.counted["prompt_tokens"] += usage.get("promptTokens", 0)
        self.counted["output_tokens"] += usage.get("completionTokens", 0)

    def told(self) -> dict[str, Any]:
        """Counts for the result: of the runs that came to a result, and of requests and refusals of all."""
        names = ("runs", "turns", "retries", "requests", "refusals", "transients", "prompt_tokens", "output_tokens")
        return {name: self.counted[name] for name in names} | {"ends": dict(sorted(self.ends.items()))}


class ScriptedModel:
    """One run's. It stands for the client and the server: what it counts and checks is what the server sees."""

    def __init__(
        self,
        models: Models,
        process: Process,
        serving: Serving,
        address: Address,
        agent: Agent,
        execution: Execution,
        plan: Plan,
        stream: Stream,
    ) -> None:
        assert plan.conversation is not None
        self.models = models
        self.process = process
        cloud = agent.spec.provider is not Provider.LOCAL
        # A cloud has as many machines as it takes: what it shares out is requests.
        self.serving = Serving((), models.conduct.tokens_per_second) if cloud else serving
        self.turnstile = models.turnstile(address.model) if cloud else None
        self.name = address.model
        self.talk: Conversation = plan.conversation
        self.stream = stream
        self.verdict = plan.verdict
        self.cancelled = process.event()
        self.work = drawn(stream, self.talk.turns)
        self.gives_up = stream.chance(self.talk.gives_up)
        self.tool = self.talk.tools.sampler(stream)
        self.overhead = drawn(stream, self.talk.prompt)
        self.number = 0
        self.read: Sequence[Mapping[str, Any]] = ()
        check = models.check
        self.judge = check.run(execution.task.key, limits_of(agent.spec)) if check is not None else None

    async def complete(self, request: Request) -> Turn:
        models, conduct, stream = self.models, self.models.conduct, self.stream
        models.counted["requests"] += 1
        if self.judge is not None:
            self.judge.asked(request)
        await self.process.sleep(conduct.latency / SECOND)
        if self.turnstile is not None:
            self._refuse(self.turnstile.wait(models.now()))
        if stream.chance(conduct.refusals):
            self._refuse(max(models.retry_after(), 1))
        prompt, fresh = self._sizes(request)
        if conduct.context_tokens and prompt > conduct.context_tokens:
            raise Overflow(f"the request has {prompt} tokens, the context {conduct.context_tokens}")
        if stream.chance(conduct.transients):
            await self.serving.generate(self, self.name, fresh, 0)
            models.counted["transients"] += 1
            raise Transient("HTTP 500: failed to parse the tool call")
        turn, output = self._turn(request)
        await self.serving.generate(self, self.name, fresh, output)
        self.read = request.messages
        if self.judge is not None:
            self.judge.replied()
        return Turn(turn.text, calls=turn.calls, finish=turn.finish, usage=Usage(prompt, output))

    def _refuse(self, wait: int) -> None:
        """429 with the time to wait, in microseconds; 0: not at all."""
        if not wait:
            return
        self.models.counted["refusals"] += 1
        if self.judge is not None:
            self.judge.refused(wait)
        raise Transient("HTTP 429: too many requests", retry_after=wait / SECOND)

    def _sizes(self, request: Request) -> tuple[int, int]:
        """Tokens of the request, and of what the server has not read before."""
        sizes = [size(message) for message in request.messages]
        same = 0
        if self.models.conduct.kept:
            for one, other in zip(self.read, request.messages, strict=False):
                if one is not other and one != other:
                    break
                same += 1
        prompt = self.overhead + sum(sizes) // CHARACTERS_PER_TOKEN
        if not same:
            return prompt, prompt
        return prompt, sum(sizes[same:]) // CHARACTERS_PER_TOKEN

    def _turn(self, request: Request) -> tuple[Turn, int]:
        """What it says, and how many tokens that is."""
        conduct, stream = self.models.conduct, self.stream
        self.number += 1
        output = drawn(stream, self.talk.output)
        limit = request.max_output_tokens
        if output > limit or stream.chance(conduct.truncated):
            return Turn("I begin with", finish="length"), limit
        if stream.chance(conduct.silent):
            return Turn("I think that is all."), output
        offered = [each["function"]["name"] for each in request.tools]
        last = offered == [SUBMIT]
        if self.work <= 0 or (last and self.gives_up):
            verdict = self.verdict if self.work <= 0 else "NO-GO"
            return _calling(self.number, SUBMIT, json.dumps(_submission(verdict))), output
        name = self.tool()
        if name not in offered and not last:
            name = EDITS[0] if EDITS[0] in offered else SUBMIT
        if stream.chance(conduct.broken):
            return _calling(self.number, name, '{"path": "src/mo'), output
        self.work -= not last
        # No call is the same as another: going round in circles is not what this model does.
        return _calling(
            self.number, name, json.dumps({"path": f"src/{self.number}", "command": f"try {self.number}"})
        ), output


def _calling(number: int, name: str, arguments: str) -> Turn:
    return Turn(calls=(ToolCall(f"call_{number}", name, arguments),), finish="tool_calls")


def _submission(verdict: str) -> dict[str, Any]:
    word, _, outcome = verdict.partition(":")
    said: dict[str, Any] = {"verdict": word, "summary": "simulated"}
    if outcome and outcome != MODEL_DECIDED:
        said["extra"] = {
            "outcome": outcome,
            **dict.fromkeys([PROMOTED[outcome]] if outcome in PROMOTED else (), "simulated"),
        }
    return said


async def _close(model: Any) -> None:
    """Whoever is no longer waited for leaves the endpoint."""
    model.cancelled.set()


class Tool:
    """Takes its time and answers at length."""

    description = "simulated"
    parameters: Mapping[str, Any] = {"type": "object"}

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self.desk = desk

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        desk = self.desk
        await desk.process.sleep(desk.tool_time() / SECOND)
        return Answer("x" * (CHARACTERS_PER_TOKEN * drawn(desk.stream, desk.answer)) or "done")


class Desk:
    """A place of work without files: what is published has a name and nothing in it."""

    check = None
    rails = None
    pictures: Sequence[Picture] = ()

    def __init__(self, process: Process, execution: Execution, talk: Conversation, stream: Stream) -> None:
        self.process = process
        self.execution = execution
        self.stream = stream
        self.answer = talk.answer
        self.tool_time = talk.tool_time.sampler(stream)
        self.tools: Mapping[str, Any] = {name: Tool(name, self) for name, weight in talk.tools.root.items() if weight}

    async def prepare(self) -> None:
        """Nothing has to be fetched."""

    async def publish(self, message: str) -> Published | None:
        if not self.execution.task.spec.payload.repo:
            return None
        return Published(branch_name(self.execution.task), f"{self.execution.attempt:040x}")

    async def close(self) -> None:
        """Nothing is left."""


class Untold:
    """Transcripts that nobody reads."""

    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None: ...

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        return ""
