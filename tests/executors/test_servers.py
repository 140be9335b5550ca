"""Which MCP servers a run is given: what a machine's owner wrote down, what an Agent may ask for, what a task forbids."""

from __future__ import annotations

import json

import pytest
from test_native import agent

from foreman.executors.tools.servers import BadServers, Bounds, Server, bounds_of, parse, wanted

NOTES = Server("notes", command="notes-server")
OWN = {
    "enabled": True,
    "servers": [{"name": "web", "transport": "http", "url": "http://web/mcp", "allowedTools": ["get"]}],
}


def smith(*tools, **spec):
    return agent(tools=["read_file", *tools], **spec)


def test_a_machines_servers():
    text = json.dumps({
        "mcpServers": {
            "notes": {"command": "npx", "args": ["-y", "notes"], "env": {"KEY": "${NOTES_KEY}", "LANG": "C"}},
            "web": {"url": "https://web/mcp", "headers": {"Authorization": "Bearer ${WEB}"}, "type": "http"},
        }
    })  # fmt: skip
    notes, web = parse(text, {"NOTES_KEY": "k1", "WEB": "w1"})
    assert (notes.command, notes.args, notes.env) == ("npx", ("-y", "notes"), {"KEY": "k1", "LANG": "C"})
    assert (web.url, web.headers) == ("https://web/mcp", {"Authorization": "Bearer w1"})
    assert "k1" not in repr(notes)
    assert "w1" not in repr(web)
    assert parse('{"mcpServers": {}}', {}) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", 'has no object "mcpServers"'),
        ('{"servers": {}}', 'has no object "mcpServers"'),
        ('{"mcpServers": {"a b": {"command": "x"}}}', "mcpServers.a b: a name has"),
        ('{"mcpServers": {"a__b": {"command": "x"}}}', "mcpServers.a__b: a name has"),
        ('{"mcpServers": {"a": {}}}', 'mcpServers.a: give either "command"'),
        ('{"mcpServers": {"a": "x"}}', 'mcpServers.a: give either "command"'),
        ('{"mcpServers": {"a": {"command": "x", "url": "http://x"}}}', "give either"),
        ('{"mcpServers": {"a": {"command": ["x"]}}}', "mcpServers.a.command: must be text"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "mcpServers.a.args: must be a list of texts"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A": 1}}}}', "mcpServers.a.env: must be an object of texts"),
        (
            '{"mcpServers": {"a": {"command": "x", "env": {"A": "${NO}"}}}}',
            "mcpServers.a.env: the environment has no NO",
        ),
        ('{"mcpServers": {"a": {"command": "x", "cmd": 1}}}', "mcpServers.a.cmd: there is no such field"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "mcpServers.a.url: 'ftp://x' is no address"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, said):
    with pytest.raises(BadServers, match=r"^[^\n]*$") as refused:
        parse(text, {})
    assert said in str(refused.value)


def test_an_agent_is_given_what_it_names_and_nothing_else():
    assert wanted(smith(), [NOTES], None) == []
    [one] = wanted(smith("mcp__notes__add", "mcp__notes__list_all"), [NOTES], True)
    assert (one.tools, one.strict, one.command) == (("add", "list_all"), True, "notes-server")
    [every] = wanted(smith("mcp__notes__*", "mcp__notes__add"), [NOTES], None)
    assert (every.tools, every.strict) == ((), True)


def test_its_own_servers_go_round_the_whitelist():
    own, machine = wanted(smith("mcp__notes__add", mcp=OWN), [NOTES], None)
    assert (own.url, own.tools, own.strict, machine.name) == ("http://web/mcp", ("get",), False, "notes")
    assert wanted(smith("mcp__web__get", mcp=OWN), [], None) == [own]
    assert wanted(smith(mcp={**OWN, "enabled": False}), [], None) == []


def test_a_task_may_forbid_them_all():
    assert wanted(smith("mcp__notes__add", mcp=OWN), [NOTES], False) == []


def test_a_server_that_this_machine_has_not():
    with pytest.raises(BadServers, match=r"the MCP server other is not on this machine \(--mcp-config has: notes\)"):
        wanted(smith("mcp__other__x"), [NOTES], None)


def test_bounds():
    assert bounds_of(None) == Bounds(30, 32_768)
    given = smith(mcp={**OWN, "callTimeout": 5, "maxResultBytes": 100}).spec.mcp
    assert bounds_of(given) == Bounds(5, 100)
