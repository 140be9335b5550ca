"""The flags of `foreman operator` and `foreman agent`: defaults, what they become, what is refused in one line and with 2."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import typer

from foreman.agent.agent import AgentOptions
from foreman.agent.capability import Declared
from foreman.agent.identity import sanitize_name
from foreman.api.meta import INT32_MAX
from foreman.cli import app, flags
from foreman.cli.operator import POLICIES
from foreman.cli.refusal import BadInput
from foreman.decide import policies
from foreman.kube import programs
from foreman.kube.health import Address
from foreman.operator import OperatorOptions


class Started(Exception):
    """What a program would have been started with."""


@pytest.fixture
def start(monkeypatch) -> Callable[..., tuple[Any, ...]]:
    """`start('agent', '--slots', '2')`: the arguments the program is started with, after the life."""

    def live(program: Any) -> None:
        raise Started(program(None))

    monkeypatch.setattr(flags, "live", live)
    monkeypatch.setattr(flags, "set_up_logs", lambda style, level: None)
    monkeypatch.setattr(programs, "operate", lambda life, *given: given)
    monkeypatch.setattr(programs, "attend", lambda life, *given: given)
    monkeypatch.delenv("FLEET_NODE_NAME", raising=False)

    def started(*words: str) -> tuple[Any, ...]:
        with pytest.raises(Started) as caught:
            typer.main.get_command(app)(list(words), standalone_mode=False)
        return caught.value.args[0]  # type: ignore[no-any-return]

    return started


def refused(*words: str) -> str:
    with pytest.raises(BadInput) as caught:
        typer.main.get_command(app)(list(words), standalone_mode=False)
    assert caught.value.exit_code == 2
    said = caught.value.format_message()
    assert "\n" not in said
    return str(said)


def test_the_operators_defaults_are_the_originals(start):
    ground, options = start("operator")
    assert ground == programs.Ground(None, None, Address("", 8082), Address("", 8081))
    assert options == OperatorOptions(
        policy="first-fit", leader_elect=False, namespace="foreman-system", audit_retention=168 * 3600
    )


def test_the_operators_flags(start):
    words = ("--kubeconfig", "k", "--kube-context", "c", "--metrics-bind-address", "0", "--leader-elect")
    more = ("--leader-elect-namespace", "ops", "--policy", "spread", "--audit-retention", "0")
    ground, options = start("operator", *words, *more)
    assert ground == programs.Ground("k", "c", Address("", 8082), None)
    assert options == OperatorOptions(policy="spread", leader_elect=True, namespace="ops", audit_retention=0)


def test_the_agents_defaults_are_the_originals(start):
    ground, node, options = start("agent")
    assert ground == programs.Ground(None, None, Address("", 8084), Address("", 8083))
    assert node.spec.node_name == sanitize_name(socket.gethostname())
    assert (node.spec.roles, node.spec.slots, node.spec.tailscale_addr) == (("worker",), 1, "")
    assert (node.declared, node.labels, node.stub_sleep) == (Declared(), {}, 10)
    assert options == AgentOptions(heartbeat=30, poll=5, namespace="default", grace=25, take_over=False)


def test_the_agents_flags(start):
    words = (
        *("--fleet-node-name", "n1", "--tailscale-addr", "100.64.0.1", "--roles", "worker, verifier", "--slots", "3"),
        *("--accelerator", "cuda", "--installed-models", "a,b", "--node-labels", "pool=fast,x.y/z=", "--take-over"),
        *("--max-context-tokens", "8192", "--tokens-per-second", "50", "--total-ram-gb", "64", "--stub-sleep", "1m30s"),
        *("--heartbeat-interval", "10s", "--task-poll-interval", "500ms", "--grace", "0", "--task-namespace", "work"),
    )
    _, node, options = start("agent", *words)
    assert (node.spec.node_name, node.spec.tailscale_addr) == ("n1", "100.64.0.1")
    assert (node.spec.roles, node.spec.slots) == (("worker", "verifier"), 3)
    assert node.declared == Declared("cuda", 64, ("a", "b"), 8192, 50)
    assert (node.labels, node.stub_sleep) == ({"pool": "fast", "x.y/z": ""}, 90)
    assert options == AgentOptions(heartbeat=10, poll=0.5, namespace="work", grace=0, take_over=True)


@pytest.mark.parametrize("everywhere", ["", "*"])
def test_no_namespace_and_a_star_are_all_namespaces(start, everywhere):
    assert start("agent", "--task-namespace", everywhere)[2].namespace is None


def test_the_node_may_be_named_by_the_environment(start, monkeypatch):
    """The original's chart sets it and its binary never reads it (#1640)."""
    monkeypatch.setenv("FLEET_NODE_NAME", "from-env")
    assert start("agent")[1].spec.node_name == "from-env"
    assert start("agent", "--fleet-node-name", "from-flag")[1].spec.node_name == "from-flag"
    cloud = "ip-10-0-0-7.ec2.internal"
    assert start("agent", "--fleet-node-name", cloud)[1].spec.node_name == cloud


def test_an_empty_name_in_the_environment_is_none(start, monkeypatch):
    monkeypatch.setenv("FLEET_NODE_NAME", "")
    assert start("agent")[1].spec.node_name == sanitize_name(socket.gethostname())


@pytest.mark.parametrize(("given", "becomes"), [("-5", 0), ("0", 0), (str(2**40), INT32_MAX)])
def test_numbers_saturate_and_negative_ones_are_0(start, given, becomes):
    for flag, field in (
        ("--total-ram-gb", "total_ram_gb"),
        ("--max-context-tokens", "max_context_tokens"),
        ("--tokens-per-second", "tokens_per_second"),
    ):
        assert getattr(start("agent", flag, given)[1].declared, field) == becomes


NATIVE = ("agent", "--agent-mode", "native", "--workspace-dir", "/tmp")


def test_what_an_agent_that_works_is_told(start, tmp_path):
    servers = tmp_path / "mcp.json"
    servers.write_text('{"mcpServers": {"notes": {"command": "notes"}}}')
    made = start(
        *("agent", "--agent-mode", "native", "--workspace-dir", str(tmp_path), "--mcp-config", str(servers)),
        *(
            "--commit-author-name",
            "Ada",
            "--commit-author-email",
            "ada@example.com",
            "--require-sandbox",
            "--no-stream",
        ),
        *("--inference-base-url-host-override", "mac.tail", "--git-remote-url", "file:///srv/{repo}.git"),
    )[1].native
    assert (made.host, made.streaming, made.shop.sandbox) == ("mac.tail", False, True)
    assert (made.shop.workspaces, made.shop.remote) == (str(tmp_path), "file:///srv/{repo}.git")
    assert [each.name for each in made.shop.servers] == ["notes"]
    assert made.shop.identity.environ()["GIT_COMMITTER_EMAIL"] == "ada@example.com"
    assert start("agent")[1].native is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("operator", "--policy", "fit"),
            "--policy: 'fit' is none of best-fit, first-fit, least-loaded, random, spread",
        ),
        (("operator", "--audit-retention", "5x"), "--audit-retention: '5x' is not a duration: write a number"),
        (("operator", "--metrics-bind-address", "8081"), "--metrics-bind-address: '8081' is no address to listen on"),
        (("operator", "--health-probe-bind-address", ""), "--health-probe-bind-address: '' is no address to listen on"),
        (("operator", "--leader-elect-namespace", "A"), "--leader-elect-namespace: 'A' is not a valid name"),
        (("operator", "--log-format", "xml"), "--log-format: 'xml' is none of json, console"),
        (("operator", "--log-level", "loud"), "--log-level: 'loud' is none of debug, info, warning, error"),
        (("agent", "--agent-mode", "magic"), "--agent-mode: 'magic' is none of stub, native"),
        (("agent", "--fleet-node-name", "My_Mac"), "--fleet-node-name: 'My_Mac' is not a valid name"),
        (("agent", "--fleet-node-name", "a..b"), "--fleet-node-name: 'a..b' is not a valid name"),
        (("agent", "--machine", "a/b"), "--machine: 'a/b' is not a valid name"),
        (("agent", "--task-namespace", "a/b"), "--task-namespace: 'a/b' is not a valid name"),
        (("agent", "--accelerator", "gpu"), "--accelerator: 'gpu' is none of metal, cuda, none, vulkan"),
        (("agent", "--slots", "0"), "--slots: 0 is too few, at least 1"),
        (("agent", "--node-labels", "pool"), "--node-labels: 'pool' is not a label: write key=value"),
        (("agent", "--node-labels", "a=b,-x=1"), "--node-labels: '-x=1' is not a label: write key=value"),
        (("agent", "--stub-sleep", "-1s"), "--stub-sleep: '-1s' is not a duration"),
        (("agent", "--heartbeat-interval", "0s"), "--heartbeat-interval: 0s is too short, at least 0.1s"),
        (("agent", "--heartbeat-interval", "2m"), "--heartbeat-interval: 2m is too long, at most 45s"),
        (("agent", "--task-poll-interval", "0"), "--task-poll-interval: 0 is too short"),
        (("agent", "--grace", "soon"), "--grace: 'soon' is not a duration"),
        ((*NATIVE, "--inference-base-url-override", "x"), "--inference-base-url-override: 'x' is no address"),
        (
            (*NATIVE, "--inference-base-url-host-override", "mac:80"),
            "--inference-base-url-host-override: 'mac:80' is no",
        ),
        ((*NATIVE, "--commit-author-name", ""), "--commit-author-name: '' cannot stand in a commit"),
        ((*NATIVE, "--commit-author-email", "a@b>"), "--commit-author-email: 'a@b>' cannot stand in a commit"),
        ((*NATIVE, "--commit-committer-name", "a\nb"), "--commit-committer-name: 'a\\nb' cannot stand in a commit"),
        ((*NATIVE, "--mcp-config", "/no/such/file"), "--mcp-config: cannot read /no/such/file"),
        ((*NATIVE, "--mcp-config", __file__), f"--mcp-config: {__file__}: is no JSON"),
        ((*NATIVE, "--foreman-namespace", "A"), "--foreman-namespace: 'A' is not a valid name"),
    ],
)
def test_what_cannot_be_used_is_refused(words, said):
    assert refused(*words).startswith(said)


def test_the_help_names_all_policies():
    assert set(POLICIES.replace(" or ", ", ").split(", ")) == set(policies.POLICIES)
