"""The dashboards ask for what there is: expressions that Prometheus takes, of series and labels that are exported."""

import asyncio
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from cluster.charts.rendering import CHART, SETS, ValueSet, documents, rendered
from cluster.charts.test_chart_rights import scene, until
from cluster.harness.cluster import Cluster
from cluster.harness.node.helm import Helm
from cluster.planes import Planes
from pointsman_operator.admission.metrics import AdmissionMetrics
from pointsman_operator.identity.metrics import IdentityMetrics
from pointsman_operator.push.metrics import HubMetrics
from pointsman_operator.status.writer import StatusMetrics
from pointsman_operator.watch.keeper import WatchMetrics
from pointsman_sidecar.telemetry.metrics import Metrics

FILES = sorted((CHART / "dashboards").glob("*.json"))
# What Prometheus adds to each series by the monitors of the chart.
ADDED = {"namespace", "pod"}
# What Grafana puts into an expression before Prometheus sees it.
FILLED_IN = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*", "$policy": ".*"}


def read(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return value


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every expression of a dashboard, those of its variables included."""
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found is not None, variable["name"]
            yield f"count by ({found[2]}) ({found[1]})"


@pytest.fixture(scope="module")
def exported(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:  # noqa: ARG001
    """The labels of each series that a running operator, started as the chart does, and a running sidecar export."""
    folder = tmp_path_factory.mktemp("exported")

    async def of_an_operator() -> str:
        stage = scene(cluster, folder, without=None)
        stage.resources()
        async with stage.operator():
            await until(lambda: stage.said('"event": "ready"'))
            return scraped(stage.log, "metrics_listen")

    planes = Planes(cluster=cluster, folder=folder, system="pointsman-system", operator_address="127.0.0.1:1")
    try:
        sidecar = scraped(planes.sidecar(namespace="shop").process.log, "status_listen")
    finally:
        planes.stop()
    return series(asyncio.run(of_an_operator())) | series(sidecar)


def scraped(log: Path, address: str) -> str:
    """What a process tells Prometheus."""
    listening = next(line for line in map(json.loads, log.read_text().splitlines()) if address in line)
    with urllib.request.urlopen(f"http://{listening[address]}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def series(text: str) -> dict[str, set[str]]:
    """The series of an exposition and their labels; of those that have no value yet, the labels that are declared."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for suffix in suffixes.get(family.type, ("",)):
            found[family.name + suffix] = {label for sample in family.samples for label in sample.labels}
    return {name: labels | declared().get(name, set()) for name, labels in found.items()}


def declared() -> dict[str, set[str]]:
    """The labels of the series that are declared together."""
    operator = CollectorRegistry()
    for metrics in (AdmissionMetrics, HubMetrics, IdentityMetrics, StatusMetrics, WatchMetrics):
        metrics(operator)
    found: dict[str, set[str]] = {}
    for registry in (operator, Metrics().registry):
        for collector, names in registry._collector_to_names.items():
            labels = set(getattr(collector, "_labelnames", ()))
            found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    return found


def parsed(promql: Path, texts: list[str]) -> list[dict[str, Any]]:
    """What Prometheus' own parser makes of expressions; a refusal fails the test."""
    for name, value in FILLED_IN.items():
        texts = [text.replace(name, value) for text in texts]
    answer = subprocess.run([promql], input="\n".join(texts), capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_there_is_one_of_the_operator_and_one_of_the_routing() -> None:
    assert [file.stem for file in FILES] == ["pointsman-operator", "pointsman-routing"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_expression_asks_for_series_and_labels_that_are_exported(
    promql: Path, exported: dict[str, set[str]], file: Path
) -> None:
    texts = list(expressions(read(file)))

    for text, query in zip(texts, parsed(promql, texts), strict=True):
        assert query["series"], text
        labels = set(query["grouping"])
        available: set[str] = set(ADDED)
        for one in query["series"]:
            assert one["name"] in exported, text
            assert set(one["labels"]) <= exported[one["name"]] | ADDED, text
            available |= exported[one["name"]]
        assert labels <= available, text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_variable_in_an_expression_is_one_of_the_dashboards_or_grafanas(file: Path) -> None:
    dashboard = read(file)
    variables = {f"${variable['name']}" for variable in dashboard["templating"]["list"]}

    used = {name for text in expressions(dashboard) for name in re.findall(r"\$\w+", text)}

    assert used - variables <= {"$__rate_interval", "$__range"}
    assert used & variables  # so that a namespace can be chosen


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_panel_says_what_it_shows_in_a_place_of_its_own(file: Path) -> None:
    dashboard = read(file)
    panels = dashboard["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] == "row" or (panel["title"] and panel["description"].endswith("."))
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert dashboard["uid"] == file.stem


def test_an_expression_that_prometheus_would_refuse_is_refused(promql: Path) -> None:
    with pytest.raises(AssertionError, match="unclosed left parenthesis"):
        parsed(promql, ["sum(rate(pointsman_completions_total[5m])"])


def test_the_chart_makes_a_config_map_of_each_that_grafana_finds(helm: Helm) -> None:
    found = documents(rendered(helm, SETS["dashboards"]))
    maps = [yaml.safe_load(part) for name, part in found.items() if name.startswith("ConfigMap/")]

    assert [each["metadata"]["name"] for each in maps] == [
        "pointsman-dashboard-operator",
        "pointsman-dashboard-routing",
    ]
    for file, value in zip(FILES, maps, strict=True):
        assert value["data"] == {file.name: file.read_text(encoding="utf-8")}
        assert value["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert value["metadata"]["annotations"] == {"grafana_folder": "Pointsman"}
        assert value["metadata"]["namespace"] == "pointsman-system"


def test_the_dashboards_go_where_grafana_looks_for_them(helm: Helm) -> None:
    dashboards = {"enabled": True, "namespace": "monitoring", "labels": {"grafana_dashboard": None, "shown": "yes"}}
    found = documents(rendered(helm, ValueSet(values={"monitoring": {"dashboards": dashboards}})))
    maps = [yaml.safe_load(part)["metadata"] for name, part in found.items() if name.startswith("ConfigMap/")]

    assert {each["namespace"] for each in maps} == {"monitoring"}
    assert all(each["labels"]["shown"] == "yes" and "grafana_dashboard" not in each["labels"] for each in maps)
