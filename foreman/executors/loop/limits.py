"""The budgets of one run, from the Agent (and its ModelProfile), with the defaults that its zeros and blanks stand for."""

from __future__ import annotations

from dataclasses import dataclass

from foreman.api import AgentRole, AgentSpec, ContextStrategy, ModelProfileSpec, StuckLoopDetection

FINAL_TURNS = 3
NO_CALL_RETRIES = 2
REASONING_RETRIES = 4
TRUNCATED_RETRIES = 3
CHECK_ROUNDS = 3
MAX_TURNS = 50
STUCK = StuckLoopDetection(
    repeated_tool_threshold=5, edit_free_turns_limit=15, context_soft_cap=90_000, context_hard_cap=140_000
)


@dataclass(frozen=True)
class Limits:
    """`seconds` is for the whole loop, `turn_seconds` for one answer's headers; sizes in tokens. `gate_iterations`: how often a
    coder may go on after its pushed branch has failed the gate, each time with the budgets of a whole loop."""

    max_turns: int = MAX_TURNS
    seconds: float = 3600
    turn_seconds: float = 120
    max_retries: int = 3
    max_output_tokens: int = 8192
    context_tokens: int = 32768
    observed_turns: int = 3
    strategy: ContextStrategy = ContextStrategy.WINDOW
    temperature: float | None = None
    stuck: StuckLoopDetection = STUCK
    edits_expected: bool = True
    reads_restricted: bool = False
    gate_iterations: int = 1


def limits_of(agent: AgentSpec, profile: ModelProfileSpec | None = None) -> Limits:
    """What the Agent allows. Only a coder is expected to edit: to the others edit-free turns are the work."""
    return Limits(
        max_turns=agent.max_turns if agent.max_turns > 0 else MAX_TURNS,
        seconds=agent.request_timeout_seconds,
        turn_seconds=agent.request_turn_timeout_seconds,
        max_retries=agent.max_retries,
        max_output_tokens=agent.max_output_tokens or 8192,
        context_tokens=agent.context_window_tokens or 32768,
        observed_turns=agent.observation_window_turns or 3,
        strategy=agent.context_strategy,
        temperature=float(agent.temperature) if agent.temperature else None,
        stuck=stuck_of(agent.stuck_loop_detection, profile),
        edits_expected=agent.role is AgentRole.CODER,
        reads_restricted=profile is not None and profile.restrict_reads_in_forcing_phase,
        gate_iterations=1 if agent.max_envtest_iterations is None else agent.max_envtest_iterations,
    )


def stuck_of(agents: StuckLoopDetection | None, profile: ModelProfileSpec | None) -> StuckLoopDetection:
    """The Agent's own, zeros and all; else the defaults, overlaid with what is not zero in the profile."""
    if agents is not None:
        return agents
    given = profile.stuck_loop_detection if profile is not None else None
    if given is None:
        return STUCK
    fields = ("repeated_tool_threshold", "edit_free_turns_limit", "context_soft_cap", "context_hard_cap")
    return STUCK.evolve(**{name: getattr(given, name) for name in fields if getattr(given, name)})
