"""What of a tried case is wrong: a false verdict, a crash, a hang, or words that an output obeys."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.hostile.trial import LIMIT, Tried
from core.outcome import CheckOutcome

CODES = (0, 1, 2, 3)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which our own terminal writes."""
_COMMAND = re.compile(r"^\s*(::[a-z-]+( |::)|##\[)", re.MULTILINE)
_JUDGED = ("verdict.json", "junit.xml", "results.csv", "summary.md")
_TEXTS = (".json", ".jsonl", ".csv", ".md", ".xml", ".html", ".txt", ".prom", ".properties", ".log")
_RELATED = {"platform": {"rooms"}, "rooms": {"platform"}}
"""Services behind one address, which speak for each other."""


def wrong_with(tried: Tried) -> Iterator[tuple[str, str]]:
    """Kind and words of everything that is wrong."""
    if tried.seconds >= LIMIT:
        yield "hang", f"no end in {LIMIT:g} s"
    elif tried.code not in CODES:
        yield "crash", f"exit code {tried.code}"
    run = next(iter(sorted(tried.folder.glob("run-*"))), None)
    if run is None:
        yield "crash", "no run was recorded"
        return
    yield from _verdicts(tried)
    yield from (("crash", f"no {name}") for name in _JUDGED if not (run / name).is_file())
    yield from _readable(run)
    yield from _obeyed(tried.folder)


def _verdicts(tried: Tried) -> Iterator[tuple[str, str]]:
    finished = {event.check: event for event in tried.finished}
    for check in tried.case.subject.checks:
        if check not in finished:
            yield "crash", f"{check} has no end in the journal"
    for event in finished.values():
        own = {tried.case.subject.service, *_RELATED.get(tried.case.subject.service, ())}
        if event.outcome == CheckOutcome.MISSED and event.service not in own:
            yield "accused", f"{event.check}: {event.service} {event.message[:200]}"
    if tried.case.mutation.useless and tried.mutated > 0:
        met = [event.check for event in finished.values() if event.outcome == CheckOutcome.MET]
        if finished and len(met) == len(finished):
            yield "false met", f"{', '.join(met)} after {tried.mutated} useless answers"


def _readable(run: Path) -> Iterator[tuple[str, str]]:
    try:
        if (path := run / "junit.xml").is_file():
            ET.parse(path)
        if (path := run / "verdict.json").is_file():
            json.loads(path.read_text("utf-8"))
        if (path := run / "results.csv").is_file():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for value in row.values():
                        if str(value).lstrip(" \t\n")[:1] in ("=", "+", "@") and len(str(value)) > 1:
                            yield "injection", f"results.csv: {str(value)[:60]!r}"
    except (ValueError, ET.ParseError, csv.Error) as error:
        yield "crash", f"unreadable: {error}"


def _obeyed(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix not in _TEXTS or "allure-report" in path.parts:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            yield "injection", f"{path.relative_to(folder)} is not UTF-8"
            continue
        if found := _CONTROL.search(_STYLE.sub("", text)):
            around = text[max(0, found.start() - 30) : found.end() + 30]
            yield "injection", f"{path.relative_to(folder)} holds {found.group()!r} in {around!r}"
        if path.suffix == ".log" and (command := _COMMAND.search(text)):
            yield "injection", f"{path.relative_to(folder)} commands: {command.group()!r}"
        if path.suffix == ".html" and re.search(r"<(script|img)[^>]*>?window\.hit|<img src=x", text):
            yield "injection", f"{path.relative_to(folder)} holds live HTML"
