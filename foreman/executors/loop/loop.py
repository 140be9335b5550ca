"""The agent loop: ask the model, carry out what it calls, tell it what came of it, until it submits or a budget ends.

Everything it waits for is held on a leash; everything it decides is decided by the pure functions beside this file. It runs on
Runtime alone, so that the simulator runs this very loop against a scripted model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from foreman.executors.loop import calls, corrections, progress, submission
from foreman.executors.loop.conversation import Conversation
from foreman.executors.loop.corrections import FINAL_NUDGE, Fault, Streaks
from foreman.executors.loop.ending import FAULT_DETAIL, End, Ending
from foreman.executors.loop.leash import Leash, OutOfTime, Stopped
from foreman.executors.loop.limits import CHECK_ROUNDS, Limits
from foreman.executors.loop.listener import Listener
from foreman.executors.loop.model import NO_USAGE, Model, ModelError, Overflow, Request, Turn
from foreman.executors.loop.pictures import Picture
from foreman.executors.loop.submission import BadSubmission, Submission
from foreman.executors.tools.protocol import Answer, Tool
from foreman.runtime import Runtime

Check = Callable[[Submission], Awaitable[str]]
"""Looks at a GO before it counts: '' accepts it, else what the model is told is wrong with the work."""
SHRINKS_MAX = 3


class Loop:
    """One run. `conversation` is whole at any moment, whatever ends it. `model` retries by itself (`Patient`)."""

    def __init__(
        self,
        runtime: Runtime,
        model: Model,
        tools: Mapping[str, Tool],
        limits: Limits,
        *,
        system: str,
        task: str,
        pictures: Sequence[Picture] = (),
        listener: Listener | None = None,
        check: Check | None = None,
    ) -> None:
        self.runtime = runtime
        self.model = model
        self.tools = tools
        self.limits = limits
        self.listener = listener or Listener()
        self.check = check
        self.conversation = Conversation(limits, system, task, pictures)
        self.turns = 0
        self.retries = 0
        self.usage = NO_USAGE
        self._streaks = Streaks()
        self._progress = progress.Progress()
        self._vetoes = 0
        self._schemas = {
            each.name: submission.schema(each.name, each.description, each.parameters) for each in tools.values()
        }

    async def run(self, leash: Leash) -> Ending:
        """To its end, whatever that is: only what is no one's doing but this program's own is raised."""
        try:
            while True:
                ending = await self._turn(leash)
                if ending is not None:
                    return ending
        except Stopped:
            return self._ending(End.STOPPED, f"cancelled in turn {self.turns}")
        except OutOfTime:
            return self._ending(End.OUT_OF_TIME, f"the budget of {self.limits.seconds:g}s ended in turn {self.turns}")
        except ModelError as error:
            self.retries += error.retries
            self.turns -= 1
            return self._ending(End.ENDPOINT, str(error), error=error)

    async def resume(self, leash: Leash, text: str) -> Ending:
        """Go on after a submission that did not hold, with what is told of it and as many turns as at first."""
        self.limits = replace(self.limits, max_turns=self.turns + self.limits.max_turns)
        self._streaks, self._progress, self._vetoes = Streaks(), progress.Progress(), 0
        self._tell(text)
        return await self.run(leash)

    def _ending(self, end: End, detail: str = "", **more: Any) -> Ending:
        return Ending(end, detail, turns=self.turns, retries=self.retries, usage=self.usage, **more)

    # one turn

    async def _turn(self, leash: Leash) -> Ending | None:
        if self.turns >= self.limits.max_turns:
            return self._ending(End.MAX_TURNS, f"no result after {self.turns} turns")
        self.turns += 1
        if corrections.final(self.turns, self.limits.max_turns) and not corrections.final(
            self.turns - 1, self.limits.max_turns
        ):
            self._tell(FINAL_NUDGE)
        offered = self._offered()
        turn = await self._ask(leash, offered)
        found = calls.prepared(turn, self.turns)
        fault = corrections.fault_of(turn, sum(not each.problem for each in found))
        keep = fault is Fault.TRUNCATED and self._streaks.truncated == 0
        self.conversation.said(self.turns, turn, tuple(each.call for each in found), keep)
        self.listener.said(self.turns)
        submitted, deeds = await self._carry_out(leash, found, offered)
        ending = await self._judge(leash, turn, fault, submitted, deeds)
        self.listener.turned(self.turns)
        return ending

    async def _judge(
        self,
        leash: Leash,
        turn: Turn,
        fault: Fault | None,
        submitted: Submission | None,
        deeds: list[progress.Deed],
    ) -> Ending | None:
        if submitted is not None:
            return await self._submitted(leash, submitted)
        if fault is not None:
            return self._corrected(fault, bool(turn.calls))
        self._streaks = Streaks()
        context = turn.usage.prompt or self.conversation.tokens()
        self._progress, advice = progress.step(self._progress, deeds, context, self.limits)
        if advice.end:
            return self._ending(End.STUCK, advice.text, signal=advice.signal)
        if advice.text:
            self._tell(advice.text)
        return None

    def _corrected(self, fault: Fault, answered: bool) -> Ending | None:
        """Tell the model what was wrong, or end. Calls with broken arguments have had their answer already."""
        self._streaks = self._streaks.after(fault)
        if self._streaks.exhausted(fault):
            count = getattr(self._streaks, fault.name.lower())
            return self._ending(End.MISUNDERSTOOD, FAULT_DETAIL[fault].format(n=count), signal=fault.value)
        if not answered or fault is not Fault.NO_CALL:
            self._tell(corrections.CORRECTIONS[fault])
        return None

    async def _submitted(self, leash: Leash, submitted: Submission) -> Ending | None:
        if submitted.verdict == "GO" and self.check is not None:
            self.listener.checking(self.turns)
            wrong = await leash.hold(_awaited(self.check(submitted)))
            if wrong:
                self._vetoes += 1
                if self._vetoes > CHECK_ROUNDS:
                    return self._ending(End.CHECK_FAILED, wrong, submission=submitted)
                self._streaks = Streaks()
                self._tell(f"Your result was not accepted:\n{wrong}\nMend this, then call submit_result again.")
                return None
        return self._ending(End.SUBMITTED, submitted.summary, submission=submitted)

    def _tell(self, text: str) -> None:
        self.conversation.told(text)
        self.listener.told(self.turns, text)

    # the model

    def _offered(self) -> Sequence[str]:
        """Names of the tools offered in this turn."""
        if corrections.final(self.turns, self.limits.max_turns):
            return (submission.NAME,)
        without = progress.withheld(self._progress, self.limits.reads_restricted)
        return (*(name for name in self.tools if name not in without and name != submission.NAME), submission.NAME)

    async def _ask(self, leash: Leash, offered: Sequence[str]) -> Turn:
        """One turn of the model. A request that is too long for it is shortened and sent again, a few times at most."""
        schemas = [self._schemas[name] for name in offered if name != submission.NAME]
        schemas.append(submission.SCHEMA)
        began = self.runtime.now()
        for shrinks in range(SHRINKS_MAX + 1):
            view = self.conversation.view()
            self.listener.asked(self.turns, len(view))
            request = Request(view, schemas, self.limits.max_output_tokens, self.limits.temperature)
            try:
                turn = await leash.hold(self.model.complete(request))
                break
            except Overflow:
                if shrinks == SHRINKS_MAX or not self.conversation.shrink():
                    raise
        self.retries += turn.retries
        self.usage = self.usage.plus(turn.usage)
        self.listener.replied(self.turns, turn, self.runtime.now() - began)
        return turn

    # the tools

    async def _carry_out(
        self, leash: Leash, found: list[calls.Prepared], offered: Sequence[str]
    ) -> tuple[Submission | None, list[progress.Deed]]:
        """All calls of the turn, left to right; the first good submission does not keep the rest from running."""
        submitted: Submission | None = None
        deeds = []
        for place, each in enumerate(found):
            began = self.runtime.now()
            try:
                if each.call.name == submission.NAME and not each.problem:
                    answer, mine = _submit(each.arguments)
                    submitted = submitted or mine
                else:
                    answer = await self._call(leash, each, offered)
            except (Stopped, OutOfTime):
                self._leave_unanswered(found[place:])
                raise
            deeds.append(progress.deed(each.call.name, each.arguments, answer.failed))
            self.conversation.answered(each.call, calls.content(answer))
            self.listener.answered(self.turns, each.call, answer, self.runtime.now() - began)
        return submitted, deeds

    def _leave_unanswered(self, rest: Sequence[calls.Prepared]) -> None:
        """So that the transcript says which calls were under way or still to come."""
        for each in rest:
            self.conversation.answered(each.call, calls.content(Answer("the run ended before this call did", True)))

    async def _call(self, leash: Leash, each: calls.Prepared, offered: Sequence[str]) -> Answer:
        problem = calls.unknown(each.call.name, self.tools, offered) or each.problem
        if problem:
            return Answer(problem, failed=True)
        try:
            return await leash.hold(self.tools[each.call.name].call(each.arguments))
        except (Stopped, OutOfTime):
            raise
        except Exception as error:
            # A tool promises to answer, not to raise; a bug in one must not cost the work of the whole run.
            return Answer(f"{each.call.name} failed: {type(error).__name__}: {error}", failed=True)


def _submit(arguments: Mapping[str, Any]) -> tuple[Answer, Submission | None]:
    try:
        return Answer("accepted"), submission.parse(arguments)
    except BadSubmission as error:
        return Answer(str(error), failed=True), None


async def _awaited(work: Awaitable[str]) -> str:
    return await work
