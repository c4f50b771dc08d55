"""Writes grafana.json, the dashboard "Assay": services as the watch sees them, a load as it runs, verdicts of runs.

    python deploy/observability/grafana.py      after a change here; a test compares the file

Made with Grafana's own SDK, whose types are generated from Grafana's schema. The data source is chosen in Grafana.
"""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Series
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FILE = Path(__file__).with_name("grafana.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${prometheus}")
ROWS: dict[str, list[tuple[str, str, str, str, str]]] = {
    "Services, as `assay watch` asks them": [
        ("stat", "Answers now", "assay_watch_up", "{{probe}}", "bool_yes_no"),
        ("stat", "Error budget left, 30 days", "assay_watch_error_budget_left_ratio", "{{probe}}", "percentunit"),
        ("series", "Availability, 30 days", "assay_watch_availability_ratio", "{{probe}}", "percentunit"),
        ("series", "How long a probe takes", "assay_watch_probe_seconds", "{{probe}}", "s"),
        ("stat", "Incidents open", "sum(assay_watch_incident_open)", "", "none"),
        ("stat", "Since the watch was seen", "time() - assay_watch_seen_seconds", "", "s"),
    ],
    "A load, while it runs": [
        ("series", "Operations a second", "assay_rate", "", "ops"),
        ("series", "By outcome", "sum by (metric, outcome) (rate(assay_operations_total[1m]))",
         "{{metric}} {{outcome}}", "ops"),
        ("series", "Wrong or failed, last 5 s", "assay_failure_ratio", "", "percentunit"),
        ("series", "Response times, p99", 'assay_response_seconds{quantile="0.99"}', "{{metric}} {{name}}", "s"),
        ("series", "Users", "assay_users", "", "none"),
        ("series", "Send lag of the generator, p99", "assay_generator_lag_p99_ms", "{{worker}}", "ms"),
        ("series", "CPU of the generator, of one core", "assay_generator_cpu", "{{worker}}", "percentunit"),
        ("series", "Operations under way", "assay_generator_under_way", "{{worker}}", "none"),
        ("stat", "Workers lost", "assay_workers_lost", "", "none"),
    ],
    "Verdicts": [
        ("stat", "Gate open", "assay_gate_open", "{{target}} {{plan}}", "bool_yes_no"),
        ("series", "Checks by verdict", "sum by (plan, verdict) (assay_checks)", "{{plan}} {{verdict}}", "none"),
        ("series", "Objectives: how much of the limit is used", "assay_objective_value / assay_objective_limit",
         "{{objective}}", "percentunit"),
        ("series", "How long runs take", "assay_run_seconds", "{{plan}}", "s"),
    ],
}  # fmt: skip
"""Row -> panels: kind, title, query, legend, unit."""


def dashboard() -> str:
    """The dashboard as Grafana imports it."""
    built = (
        Dashboard("Assay")
        .uid("assay")
        .tags(["assay"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
    )
    for row, panels in ROWS.items():
        built.with_row(Row(row))
        for kind, title, query, legend, unit in panels:
            panel = (Stat if kind == "stat" else Series)()
            panel.title(title).unit(unit).datasource(SOURCE).span(6 if kind == "stat" else 8).height(7)
            panel.with_target(Dataquery().expr(query).legend_format(legend or "__auto"))
            built.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=1).encode(built.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard(), encoding="utf-8")
