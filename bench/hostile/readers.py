"""Each output read by a reader of its own kind, as whoever receives it would: none may obey a service's words."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pyte
from markdown_it import MarkdownIt
from markdown_it.token import Token
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from pypdf import PdfReader

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which our own terminal writes."""
OUR_COMMANDS = re.compile(r"::(error|warning|notice) title=(?!x::y)[^:]*::")
_COMMAND = re.compile(r"^\s*::[a-zA-Z-]+( [^:]*)?::|##\[", re.MULTILINE)
_OUR_TAGS = re.compile(r"</?sub>|<!-- assay -->|<!-- -->")
_WIDEST = 4000


def junit(path: Path) -> Iterator[str]:
    """An XML parser: well-formed, and no element or attribute but JUnit's."""
    known = {"testsuites", "testsuite", "testcase", "failure", "error", "skipped", "properties", "property"}
    known |= {"system-out", "system-err"}
    for element in ET.parse(path).getroot().iter():
        if element.tag not in known:
            yield f"an element <{element.tag}>"
        yield from _text(element.text)


def table(path: Path) -> Iterator[str]:
    """A CSV reader: rows of one width, and no cell that a spreadsheet would compute."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, strict=True))
    for row in rows:
        if len(row) != len(rows[0]):
            yield f"a row of {len(row)} cells under {len(rows[0])} names: {row[:2]}"
        for cell in row:
            start = cell.lstrip(" \t\r\n\u00a0")[:1]
            if start in ("=", "+", "@") and len(cell) > 1:
                yield f"a formula {cell[:60]!r}"
            yield from _text(cell)


def document(path: Path) -> Iterator[str]:
    """A JSON parser: strict numbers, and no control character in any decoded string."""
    value = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
    yield from _strings(value)


def lines(path: Path) -> Iterator[str]:
    """A JSON parser for each line."""
    for line in path.read_text("utf-8").splitlines():
        yield from _strings(json.loads(line, parse_constant=_no_number))


def markdown(path: Path) -> Iterator[str]:
    """A parser of GitHub's Markdown: no picture, script, heading or table row that a service wrote."""
    text = path.read_text("utf-8")
    parser = MarkdownIt("gfm-like", {"linkify": False})
    for token in _tokens(parser.parse(text)):
        if token.type in ("html_inline", "html_block") and _OUR_TAGS.sub("", token.content).strip():
            yield f"HTML {token.content[:60]!r}"
        if token.type == "image":
            yield f"a picture {token.attrs}"
        if token.type == "heading_open" and token.tag == "h1":
            yield "a heading"
        if token.type == "link_open" and str(token.attrGet("href")).partition(":")[0] not in (
            "http",
            "https",
        ):
            yield f"a link to {token.attrGet('href')!r}"
        if token.type == "text" and (found := re.search(r"(?<![\w/])(@\w+|https?://h/)", token.content)):
            yield f"a mention or bare address {found[0]!r}"
    yield from _text(text)


def pdf(path: Path) -> Iterator[str]:
    """A PDF reader: pages with text, nothing that acts when it is opened or clicked."""
    reader = PdfReader(path, strict=True)
    root = reader.root_object
    acts = [name for name in ("/AA", "/AcroForm") if name in root]
    if isinstance(
        root.get("/OpenAction"), Mapping
    ):  # a list is a place where to open, and does nothing (ISO 32000-2, 7.7.2)
        acts.append("/OpenAction")
    yield from (f"the document acts: {name}" for name in acts)
    text = "".join(page.extract_text() for page in reader.pages)
    if "Evidence" not in text:
        yield "no text about the evidence"
    if any(page.annotations for page in reader.pages):
        yield "something to click"
    yield from _text(text)


def terminal(path: Path) -> Iterator[str]:
    """A terminal emulator: every line stands where it was written, title and modes are untouched."""
    raw = path.read_text("utf-8")
    written = STYLE.sub("", raw).split("\n")
    if max(map(len, written)) * 2 > _WIDEST:
        yield f"a line of {max(map(len, written))} characters"
        return
    screen = pyte.Screen(_WIDEST, len(written) + 1)
    modes = set(screen.mode)
    pyte.Stream(screen).feed(raw.replace("\n", "\r\n"))
    if screen.title or screen.icon_name or screen.mode != modes:
        yield f"the terminal's title {screen.title!r} or its modes changed"
    for number, line in enumerate(written):
        cells = screen.buffer[number]
        shown = "".join(cells[column].data for column in range(max(cells, default=-1) + 1))
        if _ink(shown) != _ink(line):
            yield f"line {number + 1} shows {shown[:60]!r} and not {line[:60]!r}"
    yield from _text(STYLE.sub("", raw))


def ci_log(path: Path) -> Iterator[str]:
    """GitHub's runner: commands at the start of a line (blanks skipped) and `##[` anywhere, but our annotations."""
    for found in _COMMAND.finditer(path.read_text("utf-8")):
        if not OUR_COMMANDS.match(found[0].lstrip()):
            yield f"the command {found[0]!r}"


def metrics(path: Path) -> Iterator[str]:
    """An OpenTelemetry collector: what was exported parses, and its words are words."""
    request = ExportMetricsServiceRequest.FromString(path.read_bytes())
    points = 0
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points += len(metric.gauge.data_points)
                yield from _text(metric.name + metric.description)
                for point in metric.gauge.data_points:
                    yield from (
                        text for a in point.attributes for text in _text(a.key + a.value.string_value)
                    )
    if not points:
        yield "no point"


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _text(text: str | None) -> Iterator[str]:
    if found := CONTROL.search(text or ""):
        around = (text or "")[max(0, found.start() - 30) : found.end() + 30]
        yield f"{found[0]!r} in {around!r}"


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from _text(value)
        value.encode()
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _text(str(key))
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _tokens(found: Sequence[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from _tokens(token.children or [])


def _ink(text: str) -> str:
    return "".join(text.split())


READERS: tuple[tuple[str, Callable[[Path], Iterator[str]]], ...] = (
    ("run-*/junit.xml", junit),
    ("run-*/results.csv", table),
    ("run-*/verdict.json", document),
    ("run-*/allure-results/*.json", document),
    ("run-*/journal/*.jsonl", lines),
    ("run-*/*.md", markdown),
    ("step.md", markdown),
    ("run-*/summary.pdf", pdf),
    ("terminal.log", terminal),
    ("terminal.log", ci_log),
    ("run-*/logs/*.log", terminal),
    ("run-*/logs/*.log", ci_log),
    ("received/*.otlp", metrics),
    ("received/*.json", document),
)
"""Where an output lies below a case's folder, and what reads it. HTML is read by `bench.hostile.browser`."""
NEEDED = frozenset({"junit.xml", "results.csv", "verdict.json", "summary.md", "step.md", "report/index.html"})
"""Outputs without which a run is not reported; `summary.pdf` and `report/allure/index.html` of a whole one, too."""
