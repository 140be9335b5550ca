"""An Agent that runs as a Kubernetes Job: one agent process only looks after it."""

from foreman.executors.jobmode.job import CoderJobSettings
from foreman.executors.jobmode.supervise import JobMode

__all__ = ["CoderJobSettings", "JobMode"]
