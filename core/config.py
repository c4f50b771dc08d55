"""Configuration files: TOML in, a model out, or one sentence with file, line, key and what is wrong.

A model derives from Settings. Types are strict (no text for a number, no 1 for true), an unknown key is refused with
the nearest known one, and a loaded model cannot be changed.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from core.errors import ConfigError
from core.toml_lines import Location, lines_of

_WIDEST = 60
_AT_LINE = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)$")


class StrictModel(BaseModel):
    """Base of every model that stands in a file: frozen, and no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text that is not blank."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """A TOML file that was read. `lines` holds the line of each key and list element by its location.

    `extended` is the document whose values stand in `data` where this file says nothing.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[Location, int] = field(repr=False)
    extended: Document | None = None

    def line(self, *location: str | int) -> int:
        """The line of a key, e.g. `line("profiles", 0, "users")`; of what is not there, its nearest table's."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1

    def holder(self, location: Location) -> Document:
        """The document that says what stands at a location: this one, or one that it extends."""
        for end in range(len(location), 0, -1):
            document: Document | None = self
            while document:
                if location[:end] in document.lines:
                    return document
                document = document.extended
        return self

    def wrong(self, location: Location, what: str) -> ConfigError:
        """The error to raise where a location's value cannot be used: file and line, then `what`."""
        holder = self.holder(location)
        return ConfigError(f"{shown(holder.path)} line {holder.line(*location)}: {what}")

    def model(self, model: type[M], data: object = None, at: Location = ()) -> M:
        """The document as `model`; or a part of it, `data`, that stands at the location `at`.

        Raises ConfigError, one sentence, for the first thing that is wrong: unknown keys first.
        """
        data = self.data if data is None else data
        try:
            text = json.dumps(data, default=_plain)
            return model.model_validate_json(text, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            found = [(_within(data, e["loc"]), e) for e in error.errors(include_url=False)]
        location, first = min(
            found, key=lambda f: (f[1]["type"] != "extra_forbidden", -len(f[0]), self.line(*at, *f[0]))
        )
        same = [e for where, e in found if where == location]
        location = _named_inside(data, location, first)
        what = _sentence(at + location, first, same, known_keys(model, location[:-1]))
        raise self.wrong(at + location, what) from None


def load_toml(path: Path, model: type[M]) -> M:
    """The file as `model`. Raises ConfigError, one sentence with file and line, for whatever is wrong."""
    return read_toml(path).model(model)


def read_toml(path: Path) -> Document:
    """The file as it stands, no model applied. Raises ConfigError when it is absent or not TOML."""
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"), path)
    except FileNotFoundError:
        raise ConfigError(f"{shown(path)} does not exist.") from None
    except OSError as error:
        raise ConfigError(f"{shown(path)} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown(path)} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from None


def parse_toml(text: str, path: Path) -> Document:
    """The same from text; `path` is what messages call it."""
    try:
        return Document(path, tomllib.loads(text), lines_of(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_not_toml(path, str(error))) from None
    except RecursionError:
        raise ConfigError(f"{shown(path)} is nested too deeply to be read.") from None


MOST_KNOWN = 60
"""Known words that an error lists; of more it names the nearest alone."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A half sentence that names the nearest of the known words; where none is near, all of them unless they are many."""
    words = sorted(known)
    if close := difflib.get_close_matches(word, words, 1, 0.6):
        return f"did you mean '{close[0]}'?"
    if len(words) > MOST_KNOWN:
        return f"none of the {len(words)} known is near."
    return f"known are {', '.join(words)}." if words else "nothing may stand there."


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_json_schema(by_alias=True, mode="validation")


def known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that a model takes in the table at a location."""
    root = _schema(model)
    found: set[str] = set()
    for schema in _schemas_at(root, root, location):
        found.update(schema.get("properties", {}))
    return sorted(found)


def takes(model: type[BaseModel], location: Location) -> bool:
    """Whether a model knows what may stand at a location, be it a key of its own or one that its user names."""
    root = _schema(model)
    return any(True for _ in _schemas_at(root, root, location))


def shown(path: Path) -> str:
    """A path as the caller would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def dotted(location: Location) -> str:
    """A location as a person writes it: `profiles[0].users`; a key with a dot in it is quoted."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if re.fullmatch(r"[\w-]+", part) else f'"{part}"'
            text += f".{key}" if text else key
    return text


def _schemas_at(
    root: Mapping[str, Any], schema: Mapping[str, Any], location: Location
) -> Iterator[Mapping[str, Any]]:
    """The schemas of what stands at a location, every branch of a choice among them."""
    if reference := schema.get("$ref"):
        yield from _schemas_at(root, root["$defs"][reference.rpartition("/")[2]], location)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _schemas_at(root, choice, location)
    if not location:
        yield schema
        return
    step, rest = location[0], location[1:]
    inner = (
        schema.get("items")
        if isinstance(step, int)
        else schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    )
    if isinstance(inner, Mapping):
        yield from _schemas_at(root, inner, rest)


def _plain(value: object) -> str:
    """TOML's dates and times as text, the form in which a strict model takes them."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise TypeError(f"TOML holds no {type(value).__name__}")


def _within(data: object, location: tuple[int | str, ...]) -> Location:
    """The part of an error's location that stands in the document; pydantic also names the branches of a choice."""
    kept: list[str | int] = []
    for number, part in enumerate(location):
        if isinstance(data, Mapping) and isinstance(part, str):
            if part in data:
                kept.append(part)
                data = data[part]
            elif number == len(location) - 1:
                kept.append(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            kept.append(part)
            data = data[part]
    return tuple(kept)


def _named_inside(data: object, location: Location, error: ErrorDetails) -> Location:
    """The location that an own rule of a whole table means, when its message begins with a key inside that table."""
    if error["type"] != "value_error":
        return location
    for step in location:
        data = data[step]  # type: ignore[index]
    inside: Location = ()
    for key in re.split(r"[:, ]", error["msg"].partition(", ")[2], maxsplit=1)[0].split("."):
        if not isinstance(data, Mapping) or key not in data:
            break
        data, inside = data[key], (*inside, key)
    return location + inside


def _sentence(location: Location, first: ErrorDetails, same: list[ErrorDetails], known: list[str]) -> str:
    where = dotted(location) or "the file"
    if first["type"] == "extra_forbidden":
        return f"{where} is not known; {nearest(str(location[-1]), known)}"
    if first["type"] == "missing":
        return f"{where} is missing; add it."
    if first["type"] in ("value_error", "assertion_error"):
        return f"{where}: {first['msg'].partition(', ')[2].rstrip('.')}."
    wants = list(dict.fromkeys(_wanted(e) for e in same))
    given = first["input"]
    words = f", not {_value(given)}" if isinstance(given, str | int | float | bool) else ""
    expected = first.get("ctx", {}).get("expected", "")
    hint = nearest(given, re.findall(r"'([^']*)'", expected)) if expected and isinstance(given, str) else ""
    near = f" {hint[0].upper()}{hint[1:]}" if hint.startswith("did you mean") else ""
    return f"{where} should be {' or '.join(wants)}{words}.{near}"


_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "string_too_short": "text, and not blank",
    "date_type": "a date like 2027-01-31",
    "date_from_datetime_parsing": "a date like 2027-01-31",
    "date_parsing": "a date like 2027-01-31",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _wanted(error: ErrorDetails) -> str:
    known = _KINDS.get(error["type"])
    return known or re.sub(r"^(Input|String|List|Tuple|Value) should (be|have|match) ", "", error["msg"])


def _value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _not_toml(path: Path, message: str) -> str:
    at = _AT_LINE.search(message)
    description = message[: at.start()].strip() if at else message
    if at and at.group(1):
        return f"{shown(path)} line {at.group(1)}: not TOML: {description} (column {at.group(2)}); correct that line."
    return f"{shown(path)}: not TOML: {description} at its end; complete it."
