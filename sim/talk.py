"""The schema of scripted models: what a run asks of its model (`conversation`), and how endpoints behave (`model`).

Where a Behaviour has a `conversation`, the product's own agent loop runs, turn by turn, against a model that says what is drawn
here: it reads and writes at the speed of its endpoint, fails as the endpoint fails, and is stopped by the budgets of its Agent.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator, model_validator

from foreman.executors.loop.patience import RETRY_AFTER_MAX
from sim.draw import Distribution, Weighted, distribution
from sim.host import SECOND
from sim.kinds import Strict, Whole, did_you_mean, in_words, refusal
from sim.units import Chance, Duration, Rate

TOOLS = ("read_file", "grep", "str_replace", "write_file", "bash")


def _span(value: Any) -> Any:
    """A count, or [fewest, most]."""
    low, high = value if isinstance(value, list | tuple) and len(value) == 2 else (value, value)
    if type(low) is not int or type(high) is not int or not 0 <= low <= high <= 10**8:
        raise refusal(f"expected a whole number, or [fewest, most], not {in_words(value)}")
    return low, high


Span = Annotated[
    tuple[int, int],
    BeforeValidator(_span),
    PlainSerializer(list, return_type=list[int]),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
]
"""A number or [fewest, most], equally likely."""


class Tokens(Strict):
    """The size of a run: tokens it reads, and tokens it writes; each a number or [fewest, most], equally likely."""

    prompt: Span = (0, 0)
    output: Span


class Conversation(Strict):
    """A run as its model sees it: `turns` that call a tool before it submits, `output` tokens written in each, `answer`
    tokens that a tool answers, after `toolTime`. `prompt`: tokens of the task's own prompt. `givesUp`: the chance that it
    submits NO-GO when it is told that its last turns have come, with work left; else it goes on until they are over.
    """

    turns: Span = (4, 12)
    prompt: Span = (1000, 3000)
    output: Span = (50, 400)
    answer: Span = (100, 1500)
    tools: Weighted[str] = Weighted[str]({"read_file": 3, "str_replace": 2, "bash": 1})
    tool_time: Distribution = Field(default=distribution("1s"), alias="toolTime")
    gives_up: Chance = Field(default=0.5, alias="givesUp")

    @field_validator("tools")
    @classmethod
    def _known_tools(cls, tools: Weighted[str]) -> Weighted[str]:
        for name in tools.root:
            if name not in TOOLS:
                raise refusal(f"unknown tool {name!r}: expected {', '.join(TOOLS)}{did_you_mean(name, TOOLS)}")
        return tools


class RateLimit(Strict):
    """So many `requests` are answered, `burst` of them at once; all others get 429 and when to come again."""

    requests: Rate
    burst: Annotated[int, Whole(1, 10**6)] = 1


class ModelConduct(Strict):
    """How every model of the scenario behaves, whichever run asks. Chances are per request; what is drawn first counts.

    `refusals`: 429 with Retry-After drawn from `retryAfter`; `transients`: a 500 after the prompt was read; `truncated`: cut
    off at the output limit; `silent`: no tool call; `broken`: arguments that are no JSON. `contextTokens`: longer requests
    are refused (0: never). `kept`: the server keeps what it has read, and reads only what is new in a request.
    `rateLimit` is for each cloud model, however many machines ask; `tokensPerSecond`: what each of its runs has (that of
    local ones is their endpoint's, shared).
    """

    rate_limit: RateLimit | None = Field(default=None, alias="rateLimit")
    refusals: Chance = 0.0
    retry_after: Distribution = Field(default=distribution("5s"), alias="retryAfter")
    transients: Chance = 0.0
    truncated: Chance = 0.0
    silent: Chance = 0.0
    broken: Chance = 0.0
    context_tokens: Annotated[int, Whole(0, 10**9)] = Field(default=0, alias="contextTokens")
    tokens_per_second: Annotated[int, Whole(1, 10**6)] = Field(default=50, alias="tokensPerSecond")
    latency: Duration = SECOND // 10
    kept: bool = True

    @model_validator(mode="after")
    def _at_most_certain(self) -> ModelConduct:
        if self.truncated + self.silent + self.broken > 1:
            raise refusal("expected truncated + silent + broken to be at most 1")
        if self.rate_limit is not None and self.rate_limit.requests > RETRY_AFTER_MAX * SECOND:
            raise refusal(f"rateLimit: expected at least one request in {RETRY_AFTER_MAX:g}s: agents wait no longer")
        return self
