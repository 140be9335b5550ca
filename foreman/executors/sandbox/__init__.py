"""Running what a model asks for, shut in."""

from foreman.executors.sandbox.command import Limits, Outcome, run
from foreman.executors.sandbox.confinement import Confinement, Place
from foreman.executors.sandbox.environment import scrubbed
from foreman.executors.sandbox.find import find, seal

__all__ = ["Confinement", "Limits", "Outcome", "Place", "find", "run", "scrubbed", "seal"]
