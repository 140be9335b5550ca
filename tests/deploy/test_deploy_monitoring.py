"""Alerts, dashboard and what feeds them: every expression parses, and asks for series that somebody exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from manifests import DEPLOY, MONITORING, ROOT, container, kustomization, of_kind, pods, the

from foreman.api import KINDS, FleetNodePhase, Phase, Verdict
from foreman.api.crd import crd
from foreman.api.workload import WorkloadPhase

HERE = DEPLOY / "components/monitoring"
DASHBOARD = json.loads((HERE / "dashboard.json").read_text(encoding="utf-8"))
STATE_METRICS = yaml.safe_load((HERE / "custom-resource-state.yaml").read_text(encoding="utf-8"))
RULES = [rule for group in the("PrometheusRule", "foreman")["spec"]["groups"] for rule in group["rules"]]

# What the processes export, with the labels that are looked at here.
OURS = {
    "foreman_leader": {"identity"},
    "foreman_agentictask_phase": {"phase"},
    "foreman_fleetnode_phase": {"phase"},
    "foreman_fleet_slots": {"state"},
    "foreman_tasks_pending": {"reason"},
    "foreman_workqueue_depth": {"controller"},
    "foreman_reconcile_duration_seconds_bucket": {"controller", "le"},
    "foreman_schedule_to_claim_seconds_bucket": {"le"},
    "foreman_cache_relists_total": {"kind"},
    "foreman_api_request_duration_seconds_count": {"verb", "kind", "outcome"},
    "foreman_task_completed_total": {"agent", "kind", "verdict", "outcome"},
    "foreman_task_duration_seconds_bucket": {"agent", "kind", "verdict", "le"},
    "foreman_task_turns_bucket": {"agent", "kind", "le"},
    "foreman_workload_completed_total": {"outcome"},
    "foreman_agent_reports_total": {"outcome"},
}
PROMETHEUS = {"up"}
BY_SCRAPING = {"job", "instance", "pod", "namespace"}


def _labels(metric: dict[str, Any]) -> set[str]:
    each = metric["each"]
    if each["type"] == "StateSet":
        return {each["stateSet"]["labelName"]}
    return set(each[each["type"].lower()].get("labelsFromPath", {}))


def state_metrics() -> Iterator[tuple[str, set[str]]]:
    for resource in STATE_METRICS["spec"]["resources"]:
        for metric in resource["metrics"]:
            yield f"{resource['metricNamePrefix']}_{metric['name']}", {*resource["labelsFromPath"], *_labels(metric)}


OF_OBJECTS = dict(state_metrics())


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


EXPRESSIONS = [rule["expr"] for rule in RULES] + [t["expr"] for panel in panels() for t in panel["targets"]]


def selectors(expression: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def faults(expression: str) -> list[str]:
    """What the expression asks for and nobody exports. Series of single objects are told from counts by their `name`."""
    wrong = []
    for each in selectors(expression):
        matched = {matcher.name: matcher.value for matcher in each.matchers.matchers}
        per_object = str(next((m.op for m in each.matchers.matchers if m.name == "name"), "")) == "MatchOp.NotEqual"
        labels = OF_OBJECTS.get(each.name) if per_object else OURS.get(each.name)
        if each.name in PROMETHEUS:
            labels = set()
        if labels is None:
            wrong.append(f"nobody exports {each.name}{' with a name' if per_object else ''}")
        else:
            wrong += [f"{each.name} has no label {label}" for label in set(matched) - labels - BY_SCRAPING - {"name"}]
        if not per_object and each.name in OF_OBJECTS and each.name in OURS and matched.get("name") != "":
            wrong.append(f"{each.name} is exported twice: say name='' or name!=''")
    return wrong


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_what_is_exported(expression: str) -> None:
    assert faults(expression) == []


def test_the_check_objects() -> None:
    assert faults("foreman_nonsense > 1") == ["nobody exports foreman_nonsense"]
    assert faults('foreman_leader{color="red"}') == ["foreman_leader has no label color"]
    assert faults('foreman_leader{name!=""}') == ["nobody exports foreman_leader with a name"]
    assert faults("foreman_fleetnode_phase") == ["foreman_fleetnode_phase is exported twice: say name='' or name!=''"]
    with pytest.raises(ValueError):
        faults("sum(rate(foreman_leader[5m])")


def test_the_processes_do_export_what_is_listed_as_theirs() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "foreman/kube").glob("*.py")))
    if not sources:
        pytest.skip("foreman/kube is not there yet")
    names = {re.sub("_(bucket|count)$", "", name) for name in OURS}
    assert [name for name in sorted(names) if f'"{name}"' not in sources] == []


def test_a_phase_that_is_asked_for_exists() -> None:
    words = {"agentictask": Phase, "fleetnode": FleetNodePhase, "workload": WorkloadPhase}
    for expression in EXPRESSIONS:
        for each in selectors(expression):
            for matcher in each.matchers.matchers:
                if matcher.name == "phase" and matcher.value:
                    known = {str(word) for word in words[each.name.split("_")[1]]}
                    assert set(matcher.value.split("|")) <= known, expression


def test_the_originals_alerts_are_there_and_ours() -> None:
    assert {rule["alert"]: rule["for"] for rule in RULES} == {
        "ForemanWorkloadStuckPending": "15m",
        "ForemanFleetNodeHeartbeatStale": "5m",
        "ForemanAgenticTaskRunningTooLong": "1h",
        "ForemanTasksPendingTooLong": "30m",
        "ForemanOperatorDown": "5m",
        "ForemanNoLeader": "2m",
        "ForemanConflictsHigh": "15m",
    }


def test_the_readme_names_every_alert() -> None:
    assert all(rule["alert"] in (DEPLOY / "README.md").read_text(encoding="utf-8") for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    text = " ".join(rule["annotations"].values())
    kept = {
        name
        for each in selectors(rule["expr"])
        for name in ({*OF_OBJECTS.get(each.name, ()), *OURS.get(each.name, ())})
    }
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept


# What kube-state-metrics reads


@pytest.mark.parametrize("resource", STATE_METRICS["spec"]["resources"], ids=lambda r: r["groupVersionKind"]["kind"])
def test_every_path_is_a_field_of_the_definition(resource: dict[str, Any]) -> None:
    kind = resource["groupVersionKind"]
    assert kind["group"] == KINDS[kind["kind"]].GROUP
    schema = crd(KINDS[kind["kind"]])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    paths = list(resource["labelsFromPath"].values())
    for metric in resource["metrics"]:
        each = metric["each"][metric["each"]["type"][0].lower() + metric["each"]["type"][1:]]
        paths += [*each.get("labelsFromPath", {}).values(), *([each["path"]] if "path" in each else [])]
    for path in paths:
        if path[0] != "metadata":
            inside = schema
            for step in path:
                inside = inside["properties"][step]


def test_state_sets_list_every_state() -> None:
    states = {
        f"{resource['metricNamePrefix']}_{metric['name']}": metric["each"]["stateSet"]["list"]
        for resource in STATE_METRICS["spec"]["resources"]
        for metric in resource["metrics"]
        if metric["each"]["type"] == "StateSet"
    }
    assert {name: set(listed) for name, listed in states.items()} == {
        "foreman_agentictask_phase": {str(each) for each in Phase},
        "foreman_agentictask_verdict": {str(each) for each in Verdict},
        "foreman_fleetnode_phase": {str(each) for each in FleetNodePhase},
        "foreman_workload_phase": {str(each) for each in WorkloadPhase},
    }


def test_kube_state_metrics_may_read_what_it_is_told_to_read() -> None:
    [role] = of_kind("ClusterRole", among=MONITORING)
    told = {KINDS[each["groupVersionKind"]["kind"]].PLURAL for each in STATE_METRICS["spec"]["resources"]}
    assert set(role.object["rules"][0]["resources"]) == told


# The Prometheus Operator's kinds: no schema of them is at hand, so what matters is looked at


@pytest.mark.parametrize("monitor", of_kind("ServiceMonitor"), ids=str)
def test_a_monitor_finds_one_service_and_its_port(monitor: Any) -> None:
    assert monitor.object["apiVersion"] == "monitoring.coreos.com/v1"
    wanted = monitor.object["spec"]["selector"]["matchLabels"]
    found = [each.object for each in of_kind("Service") if wanted.items() <= each.object["metadata"]["labels"].items()]
    [service] = found
    assert service["metadata"]["name"] == f"{monitor.name}-metrics"
    ports = {port["name"]: port for port in service["spec"]["ports"]}
    assert {each["port"] for each in monitor.object["spec"]["endpoints"]} == set(ports)
    [pod] = [each for each in pods() if each.name == monitor.name]
    served = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
    assert all(port["port"] == served[port["targetPort"]] for port in ports.values())


def test_the_job_that_alerts_name_is_a_service() -> None:
    jobs = {m.value for e in EXPRESSIONS for s in selectors(e) for m in s.matchers.matchers if m.name == "job"}
    assert jobs <= {each.name for each in of_kind("Service")}


def test_the_policies_let_the_scraper_in() -> None:
    for policy in of_kind("NetworkPolicy"):
        [rule] = policy.object["spec"]["ingress"]
        assert [port["port"] for port in rule["ports"]] == ["metrics"]


# The dashboard


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: list[tuple[int, int]] = []
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells += [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells))


def test_panels_ask_the_chosen_data_source_and_known_variables() -> None:
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) <= variables
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


def test_the_dashboard_is_found_by_grafana_and_fits_into_a_config_map() -> None:
    [board, _] = kustomization(HERE)["configMapGenerator"]
    assert board["options"]["labels"] == {"grafana_dashboard": "1"}
    assert len(json.dumps(DASHBOARD)) < 2**18
