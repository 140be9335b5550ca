"""Code hosts: issues and pull requests."""

from foreman.executors.hosts.choice import host_of
from foreman.executors.hosts.protocol import CodeHost, HostError, Issue, PullRequest

__all__ = ["CodeHost", "HostError", "Issue", "PullRequest", "host_of"]
