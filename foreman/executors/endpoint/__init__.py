"""A model behind an OpenAI-compatible endpoint, and what only asyncio can do for the loop: end work that hangs."""

from foreman.executors.address import Address
from foreman.executors.endpoint.client import Endpoint, Habits
from foreman.executors.endpoint.leash import AsyncioLeash

__all__ = ["Address", "AsyncioLeash", "Endpoint", "Habits"]
