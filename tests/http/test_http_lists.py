"""Lists: selectors, pages of one moment, older moments, forms."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from http_kit import NODES, PARTIAL, TABLE, TASKS, Site, task

from sim.http.views import age


@pytest.fixture
def five(site: Site) -> Site:
    for number in range(5):
        odd = {"odd": "yes"} if number % 2 else {}
        site.create(f"t{number}", labels={"n": str(number), **odd})
    site.patch("t3", {"status": {"phase": "Running", "assignedNode": "n1"}}, "/status")
    return site


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        ("n=1", "1"), ("n==1", "1"), ("n!=1", "0234"), ("n in (1,2)", "12"), ("n notin (1,2)", "034"), ("odd", "13"),
        ("!odd", "024"), ("n=1,odd", "1"), ("n in (1,2),odd,n!=3", "1"), ("n>1", "234"), ("n<1", "0"), ("n=", ""),
        ("absent!=x", "01234"), ("absent in ()", ""), ("", "01234"),
    ],
)  # fmt: skip
def test_labels_select(five: Site, selector: str, numbers: str) -> None:
    assert five.names(f"labelSelector={quote(selector)}") == [f"t{number}" for number in numbers]


@pytest.mark.parametrize(
    ("selector", "numbers"),
    [
        ("status.phase=Running", "3"), ("status.phase!=Running", "0124"), ("status.assignedNode=n1", "3"),
        ("status.assignedNode!=", "3"), ("status.phase=", "0124"), ("metadata.name=t2", "2"),
        ("metadata.name!=t2,metadata.namespace=default", "0134"), ("metadata.namespace=other", ""),
    ],
)  # fmt: skip
def test_fields_select(five: Site, selector: str, numbers: str) -> None:
    assert five.names(f"fieldSelector={quote(selector)}") == [f"t{number}" for number in numbers]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("labelSelector=n in (1", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("labelSelector=x in", "unable to parse requirement: found '' expected: '('"),
        ("labelSelector==1", "found '=', expected: !, identifier, or 'end of string'"),
        ("labelSelector=a b=c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("labelSelector=n=1,", "found '', expected: identifier after ','"),
        ("fieldSelector=spec.kind=x", "field label not supported: spec.kind"),
        ("fieldSelector=foo", "invalid selector: 'foo'; can't understand 'foo'"),
        ("limit=many", 'strconv.ParseInt: parsing "many": invalid syntax'),
        ("continue=nonsense", "invalid continue token: continue key is not valid"),
    ],
)
def test_a_bad_query_is_refused(five: Site, query: str, message: str) -> None:
    reply = five.ask("GET", f"{TASKS}?{quote(query, safe='=&')}")
    assert (reply.code, reply.body["reason"]) == (400, "BadRequest")
    assert reply.message.startswith(message)


def test_pages_are_of_one_moment(five: Site) -> None:
    first = five.ask("GET", f"{TASKS}?limit=2").body
    assert first["metadata"]["remainingItemCount"] == 3
    five.create("t1b")
    five.ask("DELETE", f"{TASKS}/t4")
    five.patch("t2", {"spec": {"priority": 9}})
    token, names, pages = first["metadata"]["continue"], [], [first]
    while token:
        pages.append(five.ask("GET", f"{TASKS}?limit=2&continue={token}").body)
        token = pages[-1]["metadata"]["continue"]
    names = [each["metadata"]["name"] for page in pages for each in page["items"]]
    assert names == ["t0", "t1", "t2", "t3", "t4"]
    assert {page["metadata"]["resourceVersion"] for page in pages} == {first["metadata"]["resourceVersion"]}
    assert "priority" not in pages[1]["items"][0]["spec"]


def test_a_token_expires_with_the_history_and_comes_with_another(five: Site) -> None:
    token = five.ask("GET", f"{TASKS}?limit=2").body["metadata"]["continue"]
    five.create("t5")
    five.store.compact()
    reply = five.ask("GET", f"{TASKS}?limit=2&continue={token}")
    assert (reply.code, reply.body["reason"]) == (410, "Expired")
    going_on = reply.body["metadata"]["continue"]
    assert five.names(f"continue={going_on}") == ["t2", "t3", "t4", "t5"]


def test_the_past_can_be_listed_while_it_is_known(five: Site) -> None:
    then = five.ask("GET", TASKS).body["metadata"]["resourceVersion"]
    five.ask("DELETE", f"{TASKS}/t0")
    assert five.names(f"resourceVersion={then}&resourceVersionMatch=Exact")[0] == "t0"
    assert five.names(f"resourceVersion={then}")[0] == "t1"
    five.store.compact()
    assert five.ask("GET", f"{TASKS}?resourceVersion={then}&resourceVersionMatch=Exact").code == 410


def test_the_future_has_to_be_waited_for(five: Site) -> None:
    reply = five.ask("GET", f"{TASKS}?resourceVersion=999999")
    assert (reply.code, reply.headers["Retry-After"]) == (504, "1")
    assert reply.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_list_is_of_one_namespace_or_of_all(five: Site) -> None:
    elsewhere = TASKS.replace("default", "other")
    assert five.ask("POST", elsewhere, task("t0")).code == 201
    everything = five.ask("GET", TASKS.replace("/namespaces/default", "")).body["items"]
    assert [each["metadata"]["namespace"] for each in everything] == ["default"] * 5 + ["other"]


def test_a_table_has_the_printer_columns(five: Site) -> None:
    five.now += 125
    table = five.ask("GET", TASKS, Accept=TABLE).body
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Phase", "Kind", "Node", "Verdict", "Age"]
    assert table["rows"][3]["cells"] == ["t3", "Running", "freeform", "n1", None, "2m5s"]
    assert table["rows"][3]["object"]["kind"] == "PartialObjectMetadata"
    assert five.ask("GET", f"{TASKS}?includeObject=Object", Accept=TABLE).body["rows"][0]["object"]["spec"]
    assert five.ask("GET", f"{TASKS}?includeObject=Everything", Accept=TABLE).code == 400


def test_a_list_of_metadata_alone(five: Site) -> None:
    five.ask("DELETE", f"{TASKS}?labelSelector=n>0")
    assert five.ask("GET", f"{TASKS}/t0", Accept=PARTIAL).body.keys() == {"kind", "apiVersion", "metadata"}
    listed = five.ask("GET", TASKS, Accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").body
    assert (listed["kind"], len(listed["items"])) == ("PartialObjectMetadataList", 1)


def test_a_long_list_comes_in_parts_of_one_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.http.serve.PART", 3)
    for number in range(8):
        site.create(f"t{number}")
    for accept, name in (("application/json", "items"), (TABLE, "rows")):
        reply = site.ask("GET", TASKS, Accept=accept)
        assert reply.headers["Transfer-Encoding"] == "chunked"
        monkeypatch.undo()
        assert reply.body == site.ask("GET", TASKS, Accept=accept).body
        monkeypatch.setattr("sim.http.serve.PART", 3)
        assert len(reply.body[name]) == 8


def test_an_empty_list_is_a_list(site: Site) -> None:
    assert site.ask("GET", NODES).body == {
        "apiVersion": "foreman.llmkube.dev/v1alpha1",
        "kind": "FleetNodeList",
        "items": [],
        "metadata": {"continue": "", "resourceVersion": "1"},
    }


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (134, "2m14s"), (600, "10m"), (7200, "120m"), (10800, "3h"),
        (3 * 3600 + 300, "3h5m"), (47 * 3600, "47h"), (50 * 3600, "2d2h"), (9 * 86400, "9d"), (800 * 86400, "2y70d"),
        (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages_are_told_as_kubectl_tells_them(seconds: int, told: str) -> None:
    assert age("1970-01-01T00:00:00Z", seconds) == told
