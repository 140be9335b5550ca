"""What a model may call: a tool has a name, a JSON schema of its arguments, and an answer in text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """What the model is told. `failed`: the call did not do what was asked (the text says why and how to mend it)."""

    text: str
    failed: bool = False


class Tool(Protocol):
    """One function of the model's. `parameters` is the JSON schema (an object) of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        """Do it. Wrong arguments, refusals and failures are answers, not exceptions; cancellation is raised."""
        ...
