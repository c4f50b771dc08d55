"""Every key of two whole descriptions, misspelt, and every value of another type: one sentence with file and line."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config import Document, dotted, read_toml
from core.description.reading import validated
from core.errors import ConfigError
from core.project import FILE, REFERENCE
from core.toml_lines import Location

SECOND = Path(__file__).parents[1] / "second_platform" / "assay" / FILE
FILES = [REFERENCE / FILE, SECOND]
OWN_NAMES = re.compile(
    r"(?:^|\.)(?:capabilities|env|well|bearable|query|json|headers|stores|row|existing|change|before|limits|metadata|may"
    r"|files|tables|buckets|roles|frame|frames\.\w+|when|holds|body)$"
)
"""Tables whose keys are names of the team's own, or of another list: a misspelt one is another name there."""
ANYTHING = re.compile(
    r"\.(?:row|existing|change|json|query|well|bearable|before|metadata|frame|frames|when|holds|body)\b"
)
"""Where a value is data of the platform's, of whatever type."""


def _kinds(document: Document) -> Iterator[tuple[Location, int]]:
    """One place of each kind: a hundred tables' `may` are one."""
    seen: set[tuple[str | int, ...]] = set()
    for location, line in document.lines.items():
        kind = tuple(step for step in location if isinstance(step, str))[-2:]
        if kind not in seen:
            seen.add(kind)
            yield location, line


def _changed(document: Document, location: Location, *, key: str | None, value: Any) -> Document:
    """The document with the last key of a location renamed, or its value replaced; every line stays where it is."""
    data = copy.deepcopy(dict(document.data))
    table: Any = data
    for step in location[:-1]:
        table = table[step]
    last = location[-1]
    lines = dict(document.lines)
    if key is None:
        table[last] = value
    else:
        table[key] = table.pop(last)
        depth = len(location)
        lines = {
            (*at[: depth - 1], key, *at[depth:]) if at[:depth] == location else at: line
            for at, line in lines.items()
        }
    return Document(document.path, data, lines)


def _at(document: Document, location: Location) -> Any:
    value: Any = document.data
    for step in location:
        value = value[step]
    return value


def _sentence(document: Document) -> str:
    """What is said of it; nothing where it is taken as right."""
    try:
        validated(document)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("file", FILES, ids=["reference", "second"])
def test_every_key_misspelt_is_refused_with_its_line(file: Path) -> None:
    document = read_toml(file)
    tried, taken = 0, []
    for location, line in _kinds(document):
        if isinstance(location[-1], int) or OWN_NAMES.search(dotted(location[:-1])):
            continue
        tried += 1
        said = _sentence(_changed(document, location, key=f"{location[-1]}x", value=None))
        if not said:
            taken.append(dotted(location))
            continue
        assert re.search(rf"target\.toml line {line}: ", said), (location, said)
        assert re.search(rf"{location[-1]}x'? is not known", said), said
        assert "\n" not in said
    assert not taken
    assert tried > 30


@pytest.mark.parametrize("file", FILES, ids=["reference", "second"])
def test_every_value_of_another_type_is_refused_with_its_line(file: Path) -> None:
    document = read_toml(file)
    tried, taken = 0, []
    for location, _ in _kinds(document):
        value = _at(document, location)
        wrong: Any = 1.5 if isinstance(value, dict | list) else [[{"zz": 1}]]
        said = _sentence(_changed(document, location, key=None, value=wrong))
        tried += 1
        if not said:
            taken.append(dotted(location))
            continue
        assert re.match(r".*target\.toml line \d+: ", said), (location, said)
        assert "\n" not in said
    assert not [one for one in taken if not ANYTHING.search(one)]
    assert tried - len(taken) > 30
