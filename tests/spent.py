"""Pytest plugin of the harness's own tests: what each file cost, and longest files first.

CPU seconds are the worker's and those of the processes that it waited for; wall seconds are from a file's first test
to its last. Kept in `.assay/cache/spent.json` for the next run, which starts the longest first. A fresh clone
starts with `spent.json` beside this module: `python -m tests.spent` writes it anew from the last run.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".assay" / "cache" / "spent.json"
SHIPPED = Path(__file__).with_name("spent.json")
SHOWN = 15
"""Files that the end of a run names."""
WORTH = 3.0
"""Seconds from which on a file is shipped in the table; the others are spread by their number of tests."""
A_TEST = 0.2
"""Seconds that a test of an unmeasured file is taken for."""

Spent = dict[str, tuple[float, float]]
"""Wall and CPU seconds of each file."""


def read(path: Path) -> Spent:
    """The table in a file; empty where there is none."""
    if not path.exists():
        return {}
    return {file: (wall, cpu) for file, (wall, cpu) in json.loads(path.read_text()).items()}


def write(path: Path, spent: Spent) -> None:
    """One file a line, longest first."""
    lines = [
        f"  {json.dumps(file)}: [{wall:.1f}, {cpu:.1f}]"
        for file, (wall, cpu) in sorted(spent.items(), key=lambda each: (-each[1][0], each[0]))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(
        f"{path.name}.{os.getpid()}"
    )  # tests start runs of pytest that write the same table
    fresh.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    fresh.replace(path)


def known() -> Spent:
    """What the last runs here measured, else what was shipped."""
    return read(SHIPPED) | read(KEPT)


def longest_first(tests: Mapping[str, int], spent: Spent) -> list[str]:
    """Files, given with their number of tests, in the order to start them: what takes longest must not come last."""
    seconds = {file: spent.get(file, (number * A_TEST, 0.0))[0] for file, number in tests.items()}
    return sorted(tests, key=lambda file: (-seconds[file], file))


def _cpu() -> float:
    own, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime


class Measured:
    """Adds up what each file cost, in one process or in a worker, and gathers what workers measured."""

    def __init__(self) -> None:
        self.spent: Spent = {}

    def add(self, file: str, wall: float, cpu: float) -> None:
        """More seconds of a file."""
        before = self.spent.get(file, (0.0, 0.0))
        self.spent[file] = (before[0] + wall, before[1] + cpu)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Measures one test with its set-up and what is taken down after it."""
        wall, cpu = time.monotonic(), _cpu()
        try:
            return (yield)
        finally:
            self.add(item.nodeid.partition("::")[0], time.monotonic() - wall, _cpu() - cpu)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker hands its table to the process that started it."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["spent"] = self.spent

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes a worker's table."""
        for file, (wall, cpu) in getattr(node, "workeroutput", {}).get("spent", {}).items():
            self.add(file, wall, cpu)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Files in the order in which workers take them with `--dist loadfile --no-loadscope-reorder`."""
        files: dict[str, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.nodeid.partition("::")[0], []).append(item)
        order = longest_first({file: len(tests) for file, tests in files.items()}, known())
        items[:] = [item for file in order for item in files[file]]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Keeps the table and names the files that cost most. Part of a file is no measurement of it."""
        if hasattr(config, "workerinput") or not self.spent:
            return
        if not any("::" in argument for argument in config.args) and not config.getoption("keyword"):
            write(KEPT, read(KEPT) | self.spent)
        if len(self.spent) == 1:
            return
        terminalreporter.section("files that took longest: wall and CPU seconds")
        for file, (wall, cpu) in sorted(self.spent.items(), key=lambda each: -each[1][0])[:SHOWN]:
            terminalreporter.write_line(f"{wall:7.1f} {cpu:7.1f}  {file}")
        wall, cpu = (sum(each[at] for each in self.spent.values()) for at in (0, 1))
        terminalreporter.write_line(f"{wall:7.1f} {cpu:7.1f}  all {len(self.spent)} files")


if __name__ == "__main__":
    write(SHIPPED, {file: spent for file, spent in known().items() if spent[0] >= WORTH})
