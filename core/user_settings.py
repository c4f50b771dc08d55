"""What a user may set in the environment. Nothing else of it is read, a live target's own variables apart.

Variables are for people: processes of a run tell each other nothing by them (`core.run.Run.join`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from types import MappingProxyType

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "ASSAY_PROJECT": "the folder that describes the platform",
        "ASSAY_TARGET": "embedded, live, or the name of a target of the project",
        "ASSAY_RUNS": "where runs are kept; `runs/` of the project (the reference's: of the checkout) without it",
        "ASSAY_STATE": "the embedded target's folder; `.assay/stack` without it",
        "ASSAY_HISTORY": "earlier runs: an SQLite file or a PostgreSQL URL",
        "ASSAY_BROWSER": "the Chromium to drive",
        "ASSAY_BROWSER_KIND": "chromium, firefox or webkit",
        "ASSAY_FFMPEG": "the ffmpeg that makes videos",
        "ASSAY_REGION": "where the load generator runs, for the report",
        "ASSAY_UPLOAD_MB": "sizes of uploads in megabytes, in turn, of the load `upload`",
        "ASSAY_ROOMS_STORM": "seconds between two reconnect storms of the load `rooms`; 0 for never",
        "ASSAY_REPORT_URL": "where the run's report will be found, for alerts",
        "ASSAY_WEBHOOK": "where alerts go; ASSAY_WEBHOOK_OWNER for one owner's",
        "ASSAY_HEARTBEAT_URL": "who is told that a nightly run took place",
        "ASSAY_METRICS_PORT": "where on 127.0.0.1 a load offers Prometheus metrics while it runs, e.g. 9646",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "where results go as OpenTelemetry metrics",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "the same, with its whole path",
        "GITHUB_ACTIONS": "set by GitHub: annotations are printed",
        "GITHUB_STEP_SUMMARY": "set by GitHub: the job's summary",
        "GITHUB_SERVER_URL": "set by GitHub: the first part of the job's address",
        "GITHUB_REPOSITORY": "set by GitHub: the second part",
        "GITHUB_RUN_ID": "set by GitHub: the third part",
        "GITHUB_ACTOR": "who signs the summary for auditors, if GitHub runs us",
        "GITLAB_USER_LOGIN": "the same, if GitLab does",
        "USER": "the same, on a person's own machine",
        "PATH": "where programs are found",
        "TMPDIR": "where temporary files go",
        "PLAYWRIGHT_NODEJS_PATH": "Playwright's: the Node that drives the browser",
    }
)


def setting(name: str, default: str = "") -> str:
    """A setting's value, `default` where it is unset or empty. Raises KeyError for what is not in KNOWN."""
    if name not in KNOWN:
        raise KeyError(f"{name} is no setting; describe it in core/user_settings.py")
    return os.environ.get(name) or default


def settings(start: str) -> dict[str, str]:
    """Every variable whose name begins with that of a known setting, e.g. `ASSAY_WEBHOOK` and one for each owner."""
    setting(start)
    return {name: value for name, value in os.environ.items() if name.startswith(start) and value}


def offer(name: str, value: str) -> None:
    """Makes a setting for programs that we start, unless the user has made it."""
    if not setting(name):
        os.environ[name] = value


def for_child(more: Mapping[str, str], *, without: Collection[str] = ()) -> dict[str, str]:
    """The environment of a process that we start: ours, without these names, and `more`."""
    return {name: value for name, value in os.environ.items() if name not in without} | dict(more)
