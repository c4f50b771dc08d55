"""From the text of a `target.toml` to its description: what is wrong is one sentence with file and line."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from core.description.document import Description
from core.errors import ConfigError
from core.project import FILE, REFERENCE

_WORD = r'(?:[A-Za-z0-9_-]+|"[^"]*"|\'[^\']*\')'
_KEYS = rf"{_WORD}(?:\s*\.\s*{_WORD})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEYS})\s*\]\]?")
_ENTRY = re.compile(rf"\s*({_KEYS})\s*=")
Steps = tuple[str | int, ...]
Places = dict[Steps, str]
"""By path in the document: `file:line` of where it stands."""


def read_description(file: Path) -> Description:
    """The description in a file, and in those that it extends. Raises ConfigError, one sentence with file and line."""
    document, places = _document(file, ())
    return _validated(document, places, file)


def parse_description(text: str, file: Path = Path("target.toml"), *, suggested: bool = False) -> Description:
    """The same from text; `file` is what messages call it. `suggested` says that nobody decided what stands there."""
    return _validated(_toml(text, file), _places(text, file), file, suggested=suggested)


def _document(file: Path, below: Sequence[Path]) -> tuple[dict[str, Any], Places]:
    if file.resolve() in below:
        raise ConfigError(f"{file} extends itself; remove `extends` from one of them.")
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"{file} does not exist, and a live target is described there; "
            "`assay init` writes one (docs/your-platform.md)."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8: {error}; save it as UTF-8.") from None
    document, places = _toml(text, file), _places(text, file)
    extended = document.get("extends")
    if not isinstance(extended, str) or not extended:
        return document, places
    under = REFERENCE / FILE if extended == "reference" else file.parent / extended
    base, base_places = _document(under, (*below, file.resolve()))
    return _merged(base, document), {**base_places, **places}


def _toml(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} cannot be read: {error}; mend that line.") from None


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `base`, table by table; anything but a table replaces the base's."""
    merged = dict(base)
    for key, value in own.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return merged


def _validated(
    document: Mapping[str, Any], places: Places, file: Path, *, suggested: bool = False
) -> Description:
    extra: dict[str, Any] = {"places": {".".join(map(str, steps)): where for steps, where in places.items()}}
    extra |= {"folder": str(file.resolve().parent), "suggested": suggested}
    for name in sorted(set(document) & set(extra)):
        raise ConfigError(f"{_where((name,), places, file)}: '{name}' is not known; remove it.")
    try:
        return Description.model_validate_json(json.dumps({**document, **extra}, default=str))
    except ValidationError as error:
        raise ConfigError(_sentence(error, document, places, file)) from None


def _sentence(error: ValidationError, document: Any, places: Places, file: Path) -> str:
    first = error.errors(include_url=False, include_context=True)[0]
    steps = _without_branches(first["loc"], document)
    where, path = _where(steps, places, file), ".".join(map(str, steps))
    if first["type"] == "value_error":  # a rule of a whole part names the place inside it that breaks it
        inside = str(first["ctx"]["error"]).split(":")[0].split(" ")[0].strip(",")
        where = _where((*steps, *inside.split(".")), places, file)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            known = _known(steps[:-1])
            near = difflib.get_close_matches(str(steps[-1]), known, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
            said = f"'{path}' is not known; {hint}"
        case "missing":
            said = f"'{path}' is missing; write it."
        case "value_error":
            said = f"{path}: {first['ctx']['error']}." if path else f"{first['ctx']['error']}."
        case _:
            said = f"{path}: {first['msg']}, not {json.dumps(first['input'], default=str)[:80]}."
    return f"{where}: {said}{more}"


def _without_branches(location: Sequence[str | int], document: Any) -> Steps:
    """A location without the names that pydantic puts in for unions and validators: the steps in the document."""
    steps: list[str | int] = []
    found = document
    for number, step in enumerate(location):
        inside = isinstance(found, Mapping) or (isinstance(found, list) and isinstance(step, int))
        if inside:
            steps.append(step)
            try:
                found = found[step]
            except (KeyError, IndexError):
                found = None
        elif number == len(location) - 1 and found is None:
            steps.append(step)
    return tuple(steps)


def _where(steps: Steps, places: Places, file: Path) -> str:
    for length in range(len(steps), 0, -1):
        if found := places.get(steps[:length]):
            return found
    return f"{file}:1"


def _places(text: str, file: Path) -> Places:
    """Where each table and key of a TOML text stands. Keys inside inline tables count as their line's first key."""
    places: Places = {}
    counts: dict[Steps, int] = {}
    table: Steps = ()
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{file}:{number}"
        if header := _HEADER.match(line):
            table = _steps(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            for length in range(1, len(table) + 1):
                places.setdefault(table[:length], where)
        elif entry := _ENTRY.match(line):
            steps = (*table, *_steps(entry[1]))
            for length in range(len(table) + 1, len(steps) + 1):
                places.setdefault(steps[:length], where)
    return places


def _steps(dotted: str) -> Steps:
    return tuple(word.strip().strip("\"'") for word in re.findall(_WORD, dotted))


def _known(steps: Sequence[str | int]) -> list[str]:
    """Names that the model at these steps knows."""
    found: Any = Description
    for step in steps:
        inside = [a for a in typing.get_args(found) if a is not Ellipsis]
        if isinstance(step, int) or typing.get_origin(found) is dict:
            found = next((a for a in reversed(inside) if _model(a)), None)
        elif model := _model(found):
            found = next(
                (f.annotation for name, f in model.model_fields.items() if step in (name, f.alias)), None
            )
    model = _model(found)
    names = (f.alias or name for name, f in model.model_fields.items()) if model else ()
    return sorted(set(names) - {"places", "folder", "suggested"})


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple):
        return next((m for a in typing.get_args(annotation) if (m := _model(a))), None)
    return None
