"""What the native executor asks besides the model, once the loop has ended. Effects are the implementer's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from foreman.executors.loop.ending import Judgement


class Rails(Protocol):
    async def weigh(self, judged: Judgement) -> Judgement:
        """The judgement in the light of what was really changed, or judged. Never raises."""
        ...

    async def verify(self) -> str:
        """After a push: '' if the branch passes (or nobody asked for that), else what the model is told. Never raises."""
        ...

    async def deliver(self, judged: Judgement) -> Mapping[str, Any]:
        """After everything: what is added to the result's `extra` (a pull request, what the checks remarked). Never raises."""
        ...
