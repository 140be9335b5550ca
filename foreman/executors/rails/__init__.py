"""What is held against a model's word before it becomes a verdict: its change, the checks, the policy."""

from foreman.executors.rails.change import Change, FileChange
from foreman.executors.rails.protocol import Rails

__all__ = ["Change", "FileChange", "Rails"]
