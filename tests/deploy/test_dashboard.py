"""The Grafana dashboard and Prometheus' configuration: every metric that they name is there."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Gauge, Histogram

from runtime import metrics
from tests.deploy.test_compose import services

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/flowgraft.json").read_text())
# Of Temporal's SDK, with the suffixes that `runtime/temporal.py` asks for; as a worker serves them.
OF_THE_SDK = {
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
    "temporal_activity_schedule_to_start_latency_seconds_bucket",
    "temporal_worker_task_slots_used",
    "temporal_request_failure_total",
}
OF_THE_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
_METRIC = re.compile(r"\b(?:flowgraft|http|temporal|process)_\w+")


def expressions() -> list[str]:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return queries + [variable["definition"] for variable in DASHBOARD["templating"]["list"]]


def series(declared: Counter | Gauge | Histogram) -> str:
    return next(iter(declared.describe())).name


def labels_of(declared: Counter | Gauge | Histogram) -> set[str]:
    return {*declared._labelnames, "le"}


def declared() -> dict[str, set[str]]:
    """Every series by name, with its labels."""
    found = {}
    for each in vars(metrics).values():
        if isinstance(each, Counter):
            found[f"{series(each)}_total"] = labels_of(each)
        elif isinstance(each, Gauge):
            found[series(each)] = labels_of(each)
        elif isinstance(each, Histogram):
            name = series(each)
            found |= {f"{name}_{part}": labels_of(each) for part in ("bucket", "count", "sum")}
    return found


def test_every_metric_of_the_dashboard_exists() -> None:
    used = {name for query in expressions() for name in _METRIC.findall(query)}
    assert used - set(declared()) == OF_THE_SDK | OF_THE_PROCESS


def test_every_metric_is_on_the_dashboard() -> None:
    used = {name for query in expressions() for name in _METRIC.findall(query)}
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in declared()} - {"http_requests_total"}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert stems - shown == set()


def test_queries_group_and_select_by_labels_that_exist() -> None:
    for query in expressions():
        named = [name for name in _METRIC.findall(query) if name.startswith(("flowgraft", "http"))]
        known = set().union(*(declared()[name] for name in named))
        selected = {
            label for group in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*[=!]", group)
        }
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        if named:
            assert (selected | grouped) - known == set(), query


def test_panels_have_ids_of_their_own_and_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_dashboard_and_its_source_of_data_are_provisioned() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    folder = yaml.safe_load((provisioning / "dashboards/flowgraft.yml").read_text())["providers"][0]["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in services()["grafana"]["volumes"]


def test_alerts_name_metrics_and_labels_that_exist() -> None:
    [group] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        named = _METRIC.findall(rule["expr"])
        assert set(named) <= set(declared()), rule["alert"]
        selected = set(re.findall(r"(\w+)=~?\"", rule["expr"]))
        assert selected <= set().union({"job"}, *(declared()[name] for name in named)), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
    jobs = {job["job_name"] for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]}
    [pattern] = re.findall(r'up\{job=~"([^"]*)"', str(group))
    assert all(re.fullmatch(pattern, job) for job in jobs)


def test_prometheus_reads_its_alerts_where_they_are_mounted() -> None:
    [rules] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"]
    assert f"./deploy/prometheus/alerts.yml:{rules}:ro" in services()["prometheus"]["volumes"]


def test_prometheus_asks_where_metrics_are_served() -> None:
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    asked = {job["job_name"]: job["dns_sd_configs"][0] for job in jobs if "dns_sd_configs" in job}
    port = services()["api"]["environment"]["FLOWGRAFT_METRICS_PORT"]
    assert {name: (job["names"], job["port"]) for name, job in asked.items()} == {
        "flowgraft-api": (["api"], port),
        "flowgraft-worker": (["worker"], port),
        "temporal-sdk": (["worker"], port + 1),
    }
    [server] = [job for job in jobs if "static_configs" in job]
    served = services()["temporal"]["environment"]["PROMETHEUS_ENDPOINT"].partition(":")[2]
    assert server["static_configs"][0]["targets"] == [f"temporal:{served}"]
