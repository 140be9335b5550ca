"""The native agent loop: a model, its tools, and budgets. Pure decisions in small files, one loop that runs on Runtime."""

from foreman.executors.loop.ending import End, Ending, Judgement, gate_failed, judge
from foreman.executors.loop.leash import Leash, OutOfTime, RuntimeLeash, Stopped
from foreman.executors.loop.limits import Limits, limits_of
from foreman.executors.loop.listener import Chorus, Listener
from foreman.executors.loop.loop import Check, Loop
from foreman.executors.loop.model import (
    Message,
    Model,
    ModelError,
    NoTools,
    Overflow,
    Refused,
    Request,
    ToolCall,
    Transient,
    Turn,
    Unauthorized,
    Usage,
)
from foreman.executors.loop.patience import Patient
from foreman.executors.loop.submission import Submission

__all__ = [
    "Check",
    "Chorus",
    "End",
    "Ending",
    "Judgement",
    "Leash",
    "Limits",
    "Listener",
    "Loop",
    "Message",
    "Model",
    "ModelError",
    "NoTools",
    "OutOfTime",
    "Overflow",
    "Patient",
    "Refused",
    "Request",
    "RuntimeLeash",
    "Stopped",
    "Submission",
    "ToolCall",
    "Transient",
    "Turn",
    "Unauthorized",
    "Usage",
    "gate_failed",
    "judge",
    "limits_of",
]
