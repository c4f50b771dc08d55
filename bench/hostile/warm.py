"""Makes this process warm, so that each case is a copy of it which imports nothing."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
from collections.abc import Collection
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import boto3
import fpdf
import opentelemetry.exporter.otlp.proto.http.metric_exporter
import opentelemetry.sdk.metrics.export
import pytest

import reports
import reports.senders
from core.passport import ATTRIBUTE, Passport
from core.run import ROOT
from fixtures import plugin
from reports.rendering import writers
from reports.rendering.page.environment import environment
from runner import declared_checks

PLUGINS = ("schemathesis", "hypothesispytest", "anyio", "xdist", "xdist.looponfail", "random_order")
"""Plugins of pytest that a run of checks has no use of."""
LONGEST = 40.0
UNDOING = 20.0
WITHOUT = [word for name in PLUGINS for word in ("-p", f"no:{name}")]


def warm(checks: Collection[str]) -> list[Path]:
    """Imports all that a run needs, collects the files of these checks once, and returns those files."""
    files = sorted({one.path for one in declared_checks.declared() if one.id in checks})
    for name in writers.names():
        writers.module(name)
    for found in pkgutil.iter_modules(reports.senders.__path__):
        importlib.import_module(f"reports.senders.{found.name}")
    assert fpdf
    assert opentelemetry.sdk.metrics.export
    assert opentelemetry.exporter.otlp.proto.http.metric_exporter
    pages = environment()
    for name in pages.list_templates(filter_func=lambda name: not name.endswith((".css", ".js"))):
        pages.get_template(name)
    boto3.client("s3", region_name="auto", aws_access_key_id="x", aws_secret_access_key="x").close()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = pytest.main(
            ["--collect-only", "-q", "-W", "default", *WITHOUT, "--rootdir", str(ROOT), *map(str, files)]
        )
    if code:
        raise RuntimeError(f"the checks could not be collected: {code}")
    _hurry(checks)
    gc.collect()
    gc.freeze()
    return files


def _hurry(checks: Collection[str]) -> None:
    """Each check has at most `LONGEST` seconds, and its undoing `UNDOING`: silence is waited for to the end of both."""
    plugin.UNDOING = UNDOING
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()):
            passport = getattr(value, "__dict__", {}).get(ATTRIBUTE)
            if isinstance(passport, Passport) and passport.id in checks:
                setattr(value, ATTRIBUTE, replace(passport, timeout=min(passport.timeout, LONGEST)))


def slim() -> None:
    """In a copy: leaves out what costs most and differs least between cases, the generated Allure report and the PDF."""
    kept = [name for name in writers.names() if name not in ("allure_report", "pdf")]
    reports._writers.names = lambda: kept
