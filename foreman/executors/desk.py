"""The desk of a run: its checkout and its tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foreman.api import FailureReason
from foreman.executors.loop import Check
from foreman.executors.loop.submission import NAME
from foreman.executors.native import Checkout
from foreman.executors.precondition import Precondition
from foreman.executors.tools.protocol import Tool


class BareDesk:
    """No repository, and the tools given. An Agent that wants others cannot work here, and says so before it begins."""

    def __init__(self, wanted: Sequence[str], tools: Mapping[str, Tool] | None = None) -> None:
        given = tools or {}
        missing = [name for name in wanted if name != NAME and name not in given]
        if missing:
            raise Precondition(
                FailureReason.TOOL_FAILED, f"the Agent wants tools that are not here: {', '.join(missing)}"
            )
        self.checkout: Checkout | None = None
        self.tools: Mapping[str, Tool] = {name: given[name] for name in wanted if name != NAME}
        self.check: Check | None = None

    async def close(self) -> None:
        return
