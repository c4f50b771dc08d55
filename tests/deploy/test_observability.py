"""Dashboards and alert rules name what the code exports: every metric, every label of it; in the grammar of their tools."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.observability import grafana
from reports.judging.judge import judge
from reports.rendering.writers.prometheus import registry
from runner.watch.metrics import Metrics
from runner.watch.store import Probed, Store
from tests.reports.made import Made
from tests.structure.tree import ROOT

FOLDER = ROOT / "deploy" / "observability"
RULES = [
    (rule["alert"], rule["expr"], rule)
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = [
    (panel["title"], target["expr"], panel)
    for panel in json.loads((FOLDER / "grafana.json").read_text())["panels"]
    for target in panel.get("targets", ())
]


class Everything(BaseHTTPRequestHandler):
    """What a load asks, and a collector that a load tells."""

    taken: ClassVar[list[bytes]] = []

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(b'[{"id": 0}]')

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["content-length"])))
        self._answer(b"")

    def log_message(self, format: str, *words: object) -> None:
        pass


def of_a_load(folder: Path) -> list[Metric]:
    """What a real load exports while it runs, at ASSAY_METRICS_PORT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Everything)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{server.server_port}"
    load = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "bench/load_open.py", "--headless", "-u", "2", "--run-time", "90s",
         "--assay-run-dir", str(folder), "--assay-warm-up", "1", "--only-summary"],
        cwd=ROOT, stdout=subprocess.DEVNULL,
        env=os.environ | {"BENCH_URL": url, "BENCH_RATE": "20", "BENCH_USERS": "2", "ASSAY_METRICS_PORT": str(port),
                          "OTEL_EXPORTER_OTLP_ENDPOINT": url},
    )  # fmt: skip
    text, taken = "", Everything.taken
    try:
        while load.poll() is None and not ('quantile="0.99"' in text and taken):
            time.sleep(0.2)
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer,
            ):
                text = answer.read().decode()
    finally:
        load.terminate()
        load.wait(30)
        server.shutdown()
        server.server_close()
    assert any(b"assay_generator_cpu" in one for one in taken), "OpenTelemetry was told nothing"
    return list(text_string_to_metric_families(text))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Sample -> its labels, of a watch, a load and a judged run."""
    folder = tmp_path_factory.mktemp("exported")
    store = Store(folder / "watch")
    store.add([Probed(1_800_000_000.0, "kv: API", True, 0.01, "fine")])
    families = [*Metrics(store, 1_800_000_001.0, 0.999).collect(), *of_a_load(folder / "load")]
    families += registry(judge(Made(folder / "run").write(), waivers=[])).collect()
    store.close()
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def selectors(node: Any) -> Iterator[Any]:
    """Every vector selector of a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
        below = getattr(node, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None and not isinstance(one, str):
                yield from selectors(one)


@pytest.mark.parametrize(
    ("title", "expr", "about"), [*RULES, *PANELS], ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_query_names_what_is_exported(
    title: str, expr: str, about: dict[str, Any], exported: dict[str, set[str]]
) -> None:
    found = list(selectors(promql_parser.parse(expr)))
    assert found, title
    labels: set[str] = set()
    for selector in found:
        assert selector.name in exported, f"{title}: nobody exports {selector.name}"
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= exported[selector.name], (
            f"{title}: {selector.name} has no label {asked - exported[selector.name]}"
        )
        labels |= exported[selector.name]
    text = json.dumps(about)
    shown = set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"{{(\w+)}}", text))
    grouped = {
        word for words in re.findall(r"by \(([^)]*)\)", expr) for word in re.split(r"[,\s]+", words) if word
    }
    assert (shown | grouped) <= labels, f"{title}: no label {(shown | grouped) - labels}"


def test_every_metric_of_a_watch_is_shown(exported: dict[str, set[str]]) -> None:
    named = {s.name for _, expr, _ in (*RULES, *PANELS) for s in selectors(promql_parser.parse(expr))}
    left = {name for name in exported if name.startswith("assay_watch")} - named
    assert left == set()


@pytest.mark.parametrize(("name", "expr", "rule"), RULES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_alert_says_what_to_do(name: str, expr: str, rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "action"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_the_dashboard_is_what_its_script_makes_and_of_grafana_s_own_words() -> None:
    text = (FOLDER / "grafana.json").read_text()
    assert text == grafana.dashboard()
    read = Dashboard.from_json(json.loads(text))
    assert read.title == "Assay"
    assert len({json.dumps(panel["gridPos"], sort_keys=True) for panel in json.loads(text)["panels"]}) == len(
        json.loads(text)["panels"]
    )


def test_prometheus_reads_the_rules_and_asks_where_the_docs_say() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert [(FOLDER / name).exists() for name in config["rule_files"]] == [True]
    asked = [t for job in config["scrape_configs"] for one in job["static_configs"] for t in one["targets"]]
    assert "127.0.0.1:9646" in asked
    assert "9646" in (ROOT / "core" / "user_settings.py").read_text()
