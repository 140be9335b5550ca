"""Executors: what actually does a task's work once a node has claimed it."""

from foreman.executors.protocol import Cancelled, Execution, Executor
from foreman.executors.stub import StubExecutor

__all__ = ["Cancelled", "Execution", "Executor", "StubExecutor"]
