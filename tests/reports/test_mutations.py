"""Whatever happens to a line of a journal, the run never reads as met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.judging.judge import judge
from tests.reports.made import CHECKS, Made

MISSED = {CHECKS[1][0]: {"outcome": "missed", "message": "a row was not there"}}


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is met, loads included, small enough to be judged many times."""
    made = Made(tmp_path_factory.mktemp("mutations") / "met", checks=CHECKS[:3], loads={"rooms": 3})
    made.objectives = made.objectives[2:]
    made.latency, made.samples = {"perf.rooms": 6.0}, {"perf.rooms": 6000}
    directory = made.write()
    assert judge(directory, waivers=[]).exit == 0
    return directory


@pytest.fixture(scope="module")
def missed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose second check is missed."""
    directory = tmp_path_factory.mktemp("mutations") / "missed"
    made = Made(directory, checks=CHECKS[:3], outcomes=MISSED, loads={}, latency={}, objectives=[])
    assert judge(made.write(), waivers=[]).exit == 1
    return directory


def mutated(path: Path, whole: bytes, changed: bytes) -> int:
    """The exit code of the run with one journal changed; the journal is as it was afterwards."""
    path.write_bytes(changed)
    try:
        return judge(path.parents[1], waivers=[]).exit
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_line_that_is_not_as_its_kind_demands_is_never_met(met: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted((met / "journal").glob("*.jsonl"))))
    whole = path.read_bytes()
    lines = whole.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    document = json.loads(lines[number])
    name = data.draw(st.sampled_from(sorted(document)))
    match data.draw(st.sampled_from(["missing", "surplus", "another type", "another kind"])):
        case "missing":
            del document[name]
        case "surplus":
            document[f"{name} too"] = document[name]
        case "another type":
            document[name] = [{"of another": "type"}]
        case _:
            document["type"] = f"{document['type']}.x"
    lines[number] = json.dumps(document).encode()
    assert mutated(path, whole, b"\n".join(lines) + b"\n") == 3


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_of_bytes_turns_missed_into_met(missed: Path, data: st.DataObject) -> None:
    [path] = (missed / "journal").glob("*.jsonl")
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.integers(0, 40))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b'"', b"}", b"0", b"true", b"null"]))
    assert mutated(path, whole, whole[:at] + put + whole[at + cut :]) != 0
