"""What only asyncio can give the native executor: models behind endpoints, and leashes that end what they let go of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from foreman.api import Agent
from foreman.executors.address import Address
from foreman.executors.endpoint.client import Endpoint, Habits
from foreman.executors.endpoint.leash import AsyncioLeash
from foreman.executors.loop import Leash, Model
from foreman.runtime import Signal


class EndpointParts(NamedTuple):
    """As `foreman.executors.native.Parts` names them."""

    model: Callable[[Address, Agent], Model]
    leash: Callable[[Signal, float], Leash]
    close: Callable[[Model], Awaitable[None]]


def endpoint_parts(streaming: bool = True) -> EndpointParts:
    def model(address: Address, agent: Agent) -> Model:
        spec = agent.spec
        habits = Habits(streaming, spec.request_turn_timeout_seconds, chat_template_kwargs=spec.chat_template_kwargs)
        return Endpoint(address, habits)

    async def close(model: Model) -> None:
        if isinstance(model, Endpoint):
            await model.close()

    return EndpointParts(model, AsyncioLeash, close)
