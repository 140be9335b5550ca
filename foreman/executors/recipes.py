"""Where Agents come from, and the places and keys of their models: from the cluster, or from what a command was given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from foreman.api import Agent, AgentSpec, FailureReason, ModelProfile, ModelProfileSpec, SecretKeySelector
from foreman.cluster import Cluster, Forbidden, NotFound, Unavailable
from foreman.executors.address import Address, at_host, base_url, key_of, model_named, secret_name, service_of
from foreman.executors.precondition import Precondition
from foreman.runtime import Runtime

T = TypeVar("T")
TRIES = 5
PAUSE_SECONDS = 1.0


class Vault(Protocol):
    """What is read of the cluster besides Foreman's own kinds. Raises ClusterError."""

    async def secret(self, namespace: str, name: str, key: str) -> str | None:
        """The value; None when there is no such Secret or no such key in it."""
        ...

    async def inference_service(self, namespace: str, name: str) -> str | None:
        """The endpoint it reports, '' when it reports none yet; None when there is no such service."""
        ...

    async def service_port(self, namespace: str, name: str) -> int | None:
        """The port that a Service's ready endpoints listen on now; None when it has none."""
        ...


class ClusterRecipes:
    """`override`: the address of every model, whatever the Agents say; '' for none. `host`: where inference services
    are reached from outside the cluster, at their ports of now; '' for inside. An API that is away is asked again."""

    def __init__(self, cluster: Cluster, runtime: Runtime, vault: Vault, override: str = "", host: str = "") -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.vault = vault
        self.override = override
        self.host = host

    async def agent(self, namespace: str, name: str) -> Agent:
        try:
            return cast(Agent, await self._patiently(lambda: self.cluster.get("Agent", name, namespace)))
        except NotFound:
            said = f'there is no Agent "{name}" in namespace {namespace}'
            raise Precondition(FailureReason.AGENT_NOT_FOUND, said) from None

    async def profile(self, name: str) -> ModelProfileSpec | None:
        """A reference to a profile that is not there is as good as none."""
        try:
            found = await self._patiently(lambda: self.cluster.get("ModelProfile", name))
        except NotFound:
            return None
        return cast(ModelProfile, found).spec

    async def address(self, agent: Agent, namespace: str) -> Address:
        key, secret = await self._key(agent.spec, namespace)
        return Address(await self._base_url(agent, namespace), model_named(agent), key, secret)

    async def _base_url(self, agent: Agent, namespace: str) -> str:
        spec = agent.spec
        if self.override:
            return base_url(self.override, "--inference-base-url-override")
        if spec.provider_config is not None:
            return base_url(spec.provider_config.base_url, f"Agent {agent.key}: spec.providerConfig.baseURL")
        if spec.inference_service_ref is None or not spec.inference_service_ref.name:
            said = f"Agent {agent.key}: neither providerConfig nor inferenceServiceRef says where its model is"
            raise Precondition(FailureReason.INFERENCE_SERVICE_UNAVAILABLE, said)
        name = spec.inference_service_ref.name
        reported = await self._patiently(lambda: self.vault.inference_service(namespace, name))
        if not reported:
            missing = "does not exist" if reported is None else "reports no endpoint yet"
            said = f"InferenceService {namespace}/{name} {missing}"
            raise Precondition(FailureReason.INFERENCE_SERVICE_UNAVAILABLE, said)
        told = base_url(reported, f"InferenceService {namespace}/{name}: status.endpoint")
        return await self._from_outside(told, namespace) if self.host else told

    async def _from_outside(self, told: str, namespace: str) -> str:
        """The address at our host, with the port its Service's endpoints have now: what it reports may be the Service's."""
        service, within = service_of(told, namespace)
        said = f"Service {within}/{service} has no endpoint that is ready"
        try:
            port = await self._patiently(lambda: self.vault.service_port(within, service))
        except Forbidden:
            port, said = None, f"this agent may not list the endpointslices of namespace {within}"
        if port is None:
            raise Precondition(FailureReason.INFERENCE_SERVICE_UNAVAILABLE, said)
        return at_host(told, self.host, port)

    async def _key(self, spec: AgentSpec, namespace: str) -> tuple[str, str]:
        """(value, name for messages)."""
        selector = key_of(spec)
        if selector is None:
            return "", ""
        return await self.secret(namespace, selector), secret_name(selector, namespace)

    async def secret(self, namespace: str, selector: SecretKeySelector) -> str:
        """Its value. Raises Precondition naming it."""
        called = secret_name(selector, namespace)
        try:
            value = await self._patiently(lambda: self.vault.secret(namespace, selector.name, selector.key))
        except Forbidden:
            raise Precondition(FailureReason.AUTH_UNAVAILABLE, f"{called}: this agent may not read it") from None
        if not value and not selector.optional:
            raise Precondition(FailureReason.AUTH_UNAVAILABLE, f"{called}: is not there or empty") from None
        return (value or "").strip()

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        for number in range(TRIES - 1):
            try:
                return await ask()
            except Unavailable:
                await self.runtime.sleep(PAUSE_SECONDS * 2**number)
        return await ask()


class GivenRecipes:
    """One Agent, given to a command; `key` from its environment, `secret` says where it was looked for."""

    def __init__(self, agent: Agent, override: str = "", model: str = "", key: str = "", secret: str = "") -> None:
        self.given = agent
        self.override = override
        self.model = model
        self.key = key
        self.secret = secret

    async def agent(self, namespace: str, name: str) -> Agent:
        return self.given

    async def profile(self, name: str) -> ModelProfileSpec | None:
        return None

    async def address(self, agent: Agent, namespace: str) -> Address:
        spec = agent.spec
        if self.override:
            where = base_url(self.override, "--base-url")
        elif spec.provider_config is not None:
            where = base_url(spec.provider_config.base_url, f"Agent {agent.metadata.name}: spec.providerConfig.baseURL")
        else:
            said = f"Agent {agent.metadata.name} does not say where its model is outside a cluster: give --base-url"
            raise Precondition(FailureReason.INFERENCE_SERVICE_UNAVAILABLE, said)
        return Address(where, model_named(agent, self.model), self.key, self.secret)
