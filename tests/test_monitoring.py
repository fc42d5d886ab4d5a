"""The alert rules and the dashboard in deploy/ ask for metrics, labels and values that the service has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from lossd.api.telemetry.expiry import CERTIFICATE, KEY
from tests.api.serving import InProcess

DEPLOY = Path(__file__).parent.parent / "deploy"
ALERTS, SCRAPES = DEPLOY / "prometheus" / "alerts.yml", DEPLOY / "prometheus" / "prometheus.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DEPLOY / "grafana" / "lossd.json").read_text())
COMPOSE = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())
# What Prometheus adds to each series, and what it makes itself.
OF_SCRAPES = {"job", "instance"}
MADE_BY_PROMETHEUS = {"up": OF_SCRAPES}

QUERIES = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}


def parsed(query: str) -> Any:
    """Parse a query; Grafana puts a duration in the place of its variable."""
    return promql_parser.parse(query.replace("$__rate_interval", "1m"))


def selectors(query: str) -> Iterator[Any]:
    """Yield what a query selects: a name, and conditions on labels."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(parsed(query), visit)
    yield from found


def groupings(query: str) -> set[str]:
    """Return the labels that a query groups by."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)

    promql_parser.walk(parsed(query), visit)
    return found


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, set[str]]]:
    """Return the metrics of a server that has had calls: sample to label to values."""
    service = InProcess()
    service.assert_unharmed()
    service.request("POST", "/v2/models/mse/infer", json={})
    metrics: dict[str, dict[str, set[str]]] = {name: {} for name in MADE_BY_PROMETHEUS}
    metrics |= {metric.full_name: {} for metric in (KEY, CERTIFICATE)}  # of servers with keys, or with TLS
    for line in service.request("GET", "/metrics").text.splitlines():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()  # type: ignore[union-attr]
            values = metrics.setdefault(name, {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
                values.setdefault(label, set()).add(value)
    return metrics


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_metrics_and_labels_that_there_are(
    name: str, shown: dict[str, dict[str, set[str]]]
) -> None:
    query = QUERIES[name]
    selected = list(selectors(query))
    assert selected
    for selector in selected:
        assert selector.name in shown
        for matcher in selector.matchers.matchers:
            assert matcher.name in {*shown[selector.name], *OF_SCRAPES}
    labels = {label for selector in selected for label in shown[selector.name]}
    assert groupings(query) <= labels | OF_SCRAPES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_looks_for_values_that_a_label_can_have(
    rule: dict[str, Any], shown: dict[str, dict[str, set[str]]]
) -> None:
    for selector in selectors(rule["expr"]):
        for matcher in selector.matchers.matchers:
            if matcher.name in {*OF_SCRAPES, "status"}:
                continue
            for pattern in re.split(r"\|", matcher.value):
                assert any(re.fullmatch(pattern, value) for value in shown[selector.name][matcher.name]), (
                    pattern
                )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {*rule["annotations"]} == {"summary", "action"}
    kept = groupings(rule["expr"]) or {*OF_SCRAPES}
    named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert named <= kept, "a label that the query sums over has no value"


def test_the_alert_of_memory_has_the_formula_of_the_operations_page() -> None:
    stated = re.search(
        r"which is (\d+) MiB with the defaults", (DEPLOY.parent / "docs" / "operations.md").read_text()
    )
    assert stated is not None
    assert f"> {stated[1]} * 1024 * 1024 * count by (instance)" in QUERIES["LossdMemory"]


def test_a_server_that_is_not_found_is_down_too() -> None:
    assert 'absent(up{job="lossd"})' in QUERIES["LossdDown"]


def test_a_query_of_a_metric_that_is_not_there_would_be_noticed(
    shown: dict[str, dict[str, set[str]]],
) -> None:
    (selector,) = selectors("sum(rate(lossd_request_total[5m]))")
    assert selector.name not in shown
    with pytest.raises(ValueError, match="unclosed"):
        parsed("sum(rate(lossd_requests_total[5m])")


def test_the_panels_do_not_overlap_and_can_choose_replicas() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(places) == len(set(places))
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == [
        "datasource",
        "job",
        "instance",
    ]
    assert all('instance=~"$instance"' in query for name, query in QUERIES.items() if " " in name)


def test_the_replicas_of_the_compose_file_are_scraped() -> None:
    config = yaml.safe_load(SCRAPES.read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "lossd"
    assert job["dns_sd_configs"][0]["names"] == ["lossd"]
    assert set(job["dns_sd_configs"][0]["names"]) <= COMPOSE["services"].keys()
    assert config["rule_files"] == [ALERTS.name]


def test_the_proxy_does_not_show_the_metrics_of_one_replica_or_other() -> None:
    assert re.search(r"location = /metrics \{\s+return 404 ", (DEPLOY / "nginx.conf").read_text())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, which comes with Prometheus")
def test_promtool_accepts_the_files() -> None:
    subprocess.run(["promtool", "check", "config", str(SCRAPES)], check=True, capture_output=True)
