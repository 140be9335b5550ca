"""Where a model is: from the Agent, or from what overrides it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from foreman.api import Agent, AgentSpec, ExecutionMode, FailureReason, Provider, SecretKeySelector
from foreman.executors.precondition import Precondition

COMPLETIONS = "/chat/completions"


@dataclass(frozen=True)
class Address:
    """`base_url` up to and without '/chat/completions'; `secret` says where `key` is from, for messages."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    secret: str = ""


def deterministic(agent: AgentSpec) -> bool:
    """Such an agent runs no model: a local one that names no inference service, nor any other place. One that has a prompt is
    meant for a model all the same: its address is given from outside, or missing."""
    named = agent.inference_service_ref is not None and agent.inference_service_ref.name
    placed = named or agent.provider is not Provider.LOCAL or agent.provider_config is not None
    return not placed and not agent.system_prompt.strip()


def runs_as_job(agent: AgentSpec) -> bool:
    return agent.execution is not None and agent.execution.mode is ExecutionMode.JOB


def base_url(text: str, whose: str) -> str:
    """The address without what the client adds itself. Raises Precondition naming whose it is when it is none."""
    trimmed = text.strip().rstrip("/").removesuffix(COMPLETIONS).rstrip("/")
    try:
        parts = urlsplit(trimmed)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    # A password here would stand in every message about this endpoint.
    opened = "@" in trimmed.partition("://")[2].partition("/")[0]
    if opened or not valid:
        shown = re.sub(r"[^/@]*@", "***@", text)
        wrong = "has a user or password in it: a key is given by itself" if opened else "is no address"
        said = f"{whose}: {shown!r} {wrong}; expected http(s)://HOST[:PORT]/v1"
        raise Precondition(FailureReason.INFERENCE_SERVICE_UNAVAILABLE, said)
    return trimmed


def service_of(address: str, namespace: str) -> tuple[str, str]:
    """(name, namespace) of the Service an address inside the cluster is of: NAME[.NAMESPACE[.svc...]]."""
    name, _, rest = (urlsplit(address).hostname or "").partition(".")
    return name, rest.partition(".")[0] or namespace


def at_host(address: str, host: str, port: int) -> str:
    """The address with another host and port."""
    shown = f"[{host}]" if ":" in host else host
    return urlsplit(address)._replace(netloc=f"{shown}:{port}").geturl()


def model_of(agent: AgentSpec) -> str:
    """The name the endpoint knows the model by: as the Agent says, else that of its inference service."""
    if agent.provider_config is not None:
        return agent.provider_config.model
    return agent.model or (agent.inference_service_ref.name if agent.inference_service_ref else "")


def model_named(agent: Agent, given: str = "") -> str:
    """The model to ask for, `given` before what the Agent says. Raises Precondition when neither names one."""
    name = given or model_of(agent.spec)
    if not name.strip():
        said = f"Agent {agent.metadata.name} names no model: set spec.model"
        raise Precondition(FailureReason.CONSTRAINT_VIOLATED, said)
    return name


def key_of(agent: AgentSpec) -> SecretKeySelector | None:
    return agent.provider_config.api_key_secret_ref if agent.provider_config is not None else None


def secret_name(selector: SecretKeySelector, namespace: str) -> str:
    """How messages name it."""
    return f"Secret {namespace}/{selector.name}, key {selector.key}"
