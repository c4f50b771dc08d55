"""What of a tried case is wrong: a false verdict, a crash, a hang, or words that an output obeys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.hostile.browser import Browser
from bench.hostile.readers import CONTROL, NEEDED, READERS, STYLE
from bench.hostile.trial import LIMIT, Tried
from core.outcome import CheckOutcome

CODES = (0, 1, 2, 3)
LARGEST_RUN = 30_000_000
"""Bytes that a run of two checks may leave."""
_TEXTS = (".json", ".jsonl", ".csv", ".md", ".xml", ".html", ".txt", ".prom", ".properties", ".log")
_RELATED = {"platform": {"rooms"}, "rooms": {"platform"}}
"""Services behind one address, which speak for each other."""


def wrong_with(tried: Tried, browser: Browser) -> Iterator[tuple[str, str]]:
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
    whole = tried.case.whole
    for name in NEEDED | ({"summary.pdf", "report/allure/index.html"} if whole else set()):
        if not (run / name).is_file() and not (tried.folder / name).is_file():
            yield "crash", f"no {name}"
    yield from _read(tried.folder)
    if whole:
        yield from _opened(run, browser)
    yield from _controls(tried.folder)
    if (size := sum(path.stat().st_size for path in run.rglob("*") if path.is_file())) > LARGEST_RUN:
        yield "size", f"{size} bytes"


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


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    """Every output by its own reader."""
    for where, reader in READERS:
        for path in sorted(folder.glob(where)):
            name = path.relative_to(folder)
            try:
                yield from (("injection", f"{name}, {reader.__name__}: {words}") for words in reader(path))
            except Exception as error:  # a reader that cannot read is what this looks for
                yield "unreadable", f"{name}, {reader.__name__}: {type(error).__name__}: {str(error)[:200]}"


def _opened(run: Path, browser: Browser) -> Iterator[tuple[str, str]]:
    """The report's pages in a browser; of the checks' own pages those of the checks that ran."""
    pages = [
        run / "report" / name for name in ("index.html", "checks.html", "trends.html", "allure/index.html")
    ]
    ran = {path.stem for path in (run / "report" / "checks").glob("*.html")}
    pages += [run / "report" / "checks" / f"{name}.html" for name in sorted(ran)[:3]]
    for page in pages:
        if page.is_file():
            yield from (
                ("injection", f"{page.relative_to(run)}, browser: {words}") for words in browser.read(page)
            )


def _controls(folder: Path) -> Iterator[tuple[str, str]]:
    """No text of any kind holds a character that moves a cursor or reorders what follows."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix not in _TEXTS or "allure" in path.parts:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            yield "injection", f"{path.relative_to(folder)} is not UTF-8"
            continue
        if found := CONTROL.search(STYLE.sub("", text)):
            around = text[max(0, found.start() - 30) : found.end() + 30]
            yield "injection", f"{path.relative_to(folder)} holds {found.group()!r} in {around!r}"
