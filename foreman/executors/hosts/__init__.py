"""Code hosts: issues and pull requests."""

from foreman.executors.hosts.choice import host_of
from foreman.executors.hosts.github import GitHub
from foreman.executors.hosts.protocol import CodeHost, HostError, Issue, PullRequest

__all__ = ["CodeHost", "GitHub", "HostError", "Issue", "PullRequest", "host_of"]
