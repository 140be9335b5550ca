"""Where Agents, addresses and keys come from: what is missing is named, and a key's value is in no message."""

from __future__ import annotations

import pytest
from loop_kit import drive
from support import new_agent

from foreman.api import ModelProfile, ObjectMeta
from foreman.cluster import Forbidden, NotFound, Unavailable
from foreman.executors.address import base_url, deterministic
from foreman.executors.precondition import Precondition
from foreman.executors.recipes import ClusterRecipes

CLOUD = {"provider": "cloud-proxy", "providerConfig": {"baseURL": "https://api.x/v1", "model": "big"}}
KEYED = {**CLOUD, "providerConfig": {**CLOUD["providerConfig"], "apiKeySecretRef": {"name": "keys", "key": "x"}}}
SERVED = {"inferenceServiceRef": {"name": "qwen"}, "model": "qwen3"}


class World:
    """Cluster and vault in one; `away`: how many calls go unanswered first."""

    def __init__(self, *objects, secret=None, service=None, away=0, port=None):
        self.objects = {(each.kind, each.metadata.name): each for each in objects}
        self.kept, self.service, self.away, self.port = secret, service, away, port
        self.asked = []

    def _answer(self, value):
        if self.away:
            self.away -= 1
            raise Unavailable("no answer")
        if isinstance(value, Exception):
            raise value
        return value

    async def get(self, kind, name, namespace=None):
        return self._answer(self.objects.get((kind, name), NotFound(name)))

    async def secret(self, namespace, name, key):
        return self._answer(self.kept)

    async def service_port(self, namespace, name):
        self.asked.append((namespace, name))
        return self._answer(self.port)

    async def inference_service(self, namespace, name):
        return self._answer(self.service)


def ask(world, what, override="", host=""):
    async def main(process):
        try:
            return await what(ClusterRecipes(world, process, world, override, host))
        except Precondition as missing:
            return missing

    return drive(main)


def address(spec, override="", **world):
    agent = new_agent("smith", **spec)
    return ask(World(agent, **world), lambda recipes: recipes.address(agent, "team"), override)


@pytest.mark.parametrize(
    ("spec", "override", "service", "where", "model"),
    [
        (CLOUD, "", None, "https://api.x/v1", "big"),
        (CLOUD, "http://here/v1/", None, "http://here/v1", "big"),
        (SERVED, "", "http://qwen:8080/v1/chat/completions", "http://qwen:8080/v1", "qwen3"),
        ({"inferenceServiceRef": {"name": "qwen"}}, "", "http://qwen/v1", "http://qwen/v1", "qwen"),
    ],
)
def test_addresses(spec, override, service, where, model):
    found = address(spec, override, service=service)
    assert (found.base_url, found.model) == (where, model)


@pytest.mark.parametrize(
    ("spec", "world", "reason", "said"),
    [
        (SERVED, {}, "InferenceServiceUnavailable", "InferenceService team/qwen does not exist"),
        (SERVED, {"service": ""}, "InferenceServiceUnavailable", "reports no endpoint yet"),
        (SERVED, {"service": "qwen"}, "InferenceServiceUnavailable", "is no address"),
        ({}, {}, "InferenceServiceUnavailable", "says where its model is"),
        (KEYED, {}, "AuthUnavailable", "Secret team/keys, key x: is not there or empty"),
        (KEYED, {"secret": ""}, "AuthUnavailable", "Secret team/keys, key x"),
        (KEYED, {"secret": Forbidden("no")}, "AuthUnavailable", "may not read it"),
    ],
)
def test_what_is_missing_is_named(spec, world, reason, said):
    missing = address(spec, **world)
    assert isinstance(missing, Precondition)
    assert missing.reason == reason
    assert said in str(missing)


def test_a_key_is_taken_without_the_newline_of_its_file():
    found = address(KEYED, secret="abcd1234\n")
    assert (found.key, found.secret) == ("abcd1234", "Secret team/keys, key x")
    assert "abcd1234" not in repr(found)


def test_an_agent_that_is_not_there():
    missing = ask(World(), lambda recipes: recipes.agent("team", "smith"))
    assert (missing.reason, str(missing)) == ("AgentNotFound", 'there is no Agent "smith" in namespace team')


def test_an_api_that_is_away_is_asked_again():
    agent = new_agent("smith")
    assert ask(World(agent, away=4), lambda recipes: recipes.agent("default", "smith")) is agent
    with pytest.raises(Unavailable):
        ask(World(agent, away=5), lambda recipes: recipes.agent("default", "smith"))


def test_a_profile_that_is_not_there_is_none():
    profile = ModelProfile(metadata=ObjectMeta(name="qwen"))
    assert ask(World(profile), lambda recipes: recipes.profile("qwen")) == profile.spec
    assert ask(World(), lambda recipes: recipes.profile("qwen")) is None


@pytest.mark.parametrize("text", ["localhost:8080", "ftp://x", "http://", "http://x:99999", "", "http://[::1"])
def test_what_is_no_address(text):
    with pytest.raises(Precondition, match="is no address"):
        base_url(text, "--base-url")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"systemPrompt": ""}, True),
        ({}, False),
        ({"systemPrompt": "", **CLOUD}, False),
        ({"systemPrompt": "", **SERVED}, False),
    ],
)
def test_which_agents_run_no_model(spec, expected):
    assert deterministic(new_agent("a", **spec).spec) is expected


@pytest.mark.parametrize(
    ("endpoint", "host", "asked", "where"),
    [
        (
            "http://qwen.team.svc.cluster.local:8080/v1/chat/completions",
            "mac.tail",
            ("team", "qwen"),
            "http://mac.tail:31080/v1",
        ),
        ("http://qwen.llm:8080/v1", "10.0.0.7", ("llm", "qwen"), "http://10.0.0.7:31080/v1"),
        ("http://qwen/v1", "fd00::7", ("team", "qwen"), "http://[fd00::7]:31080/v1"),
    ],
)
def test_from_outside_a_service_is_at_our_host_and_its_port_of_now(endpoint, host, asked, where):
    world = World(service=endpoint, port=31080, away=1)
    found = ask(world, lambda recipes: recipes.address(new_agent("smith", **SERVED), "team"), host=host)
    assert (found.base_url, world.asked[-1]) == (where, asked)


@pytest.mark.parametrize(("port", "said"), [(None, "no endpoint that is ready"), (Forbidden("no"), "may not list")])
def test_from_outside_without_a_port_is_said(port, said):
    world = World(service="http://qwen:8080/v1", port=port)
    missing = ask(world, lambda recipes: recipes.address(new_agent("smith", **SERVED), "team"), host="mac")
    assert (missing.reason, said in str(missing)) == ("InferenceServiceUnavailable", True)


def test_only_inference_services_move_to_the_host():
    world = World(service="http://qwen:8080/v1", port=1)

    def ask_for(spec, **more):
        return ask(world, lambda recipes: recipes.address(new_agent("smith", **spec), "team"), host="mac", **more)

    assert ask_for(CLOUD).base_url == "https://api.x/v1"
    assert ask_for(SERVED, override="http://here/v1").base_url == "http://here/v1"
    assert world.asked == []
