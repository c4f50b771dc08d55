"""Events as lines of JSON, and back. Read strictly: what does not fit its class exactly is refused, never guessed.

A line is one object: `type`, `t` (monotonic nanoseconds), and every field of the kind, whether it has a default or not.
Format 3. Format 2 had passports without descriptions, format 1 untyped fields; a journal of another format is refused
as a whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from core import events, load_events  # noqa: F401 (importing them fills KINDS)
from core.errors import AssayError
from core.event import KINDS, Event
from core.secret import Redactor, Secret
from core.text import safe_value

FORMAT = 3


class ForeignFormat(ValueError):
    """A journal of another format than this version's; none of its lines can be read."""


E = TypeVar("E", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[E]):
    """An event as it was recorded: at `t` (monotonic nanoseconds of its host), in the journal `source` (a file's stem)."""

    event: E
    t: int
    source: str = ""


def to_line(event: Event, t: int, redactor: Redactor) -> bytes:
    """An event as one line: without secrets, and with text that neither breaks nor commands whoever shows it.

    A ledger's keys stay as they are, since an undo needs them to the letter; what a service said of them does not.
    """
    exact = ("key",) if event.type.startswith("ledger.") else ()
    found = redactor.value(plain(event))
    words = {name: value if name in exact else safe_value(value) for name, value in found.items()}
    document = {"type": event.type, "t": t, **words}
    return (json.dumps(document, ensure_ascii=False, default=_unusual) + "\n").encode("utf-8", "replace")


def from_line(line: bytes, source: str = "") -> Recorded[Event]:
    """The event of a line. Raises ValueError, in words, for whatever this version does not write."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        raise ValueError("is not an event")
    name, t = document.pop("type"), document.pop("t", None)
    if name == "journal.opened" and document.get("format") != FORMAT:
        raise ForeignFormat(
            f"is of format {document.get('format')!r}; this version of Assay reads journals of format {FORMAT} alone"
        )
    if name not in KINDS:
        raise ValueError(f"is of a kind that nobody knows, {name!r}")
    if type(t) is not int:
        raise ValueError(f"of kind '{name}' has no time")
    if document.keys() != (known := _names(name)):
        raise ValueError(
            f"of kind '{name}': missing or unknown: {', '.join(sorted(document.keys() ^ known))}"
        )
    try:
        event = _adapter(name).validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"of kind '{name}': {where}: {first['msg']}") from None
    except AssayError as error:  # a passport that is none
        raise ValueError(f"of kind '{name}': {error}") from None
    if plain(event) != document:
        raise ValueError(f"of kind '{name}': a part of it is not whole")
    return Recorded(event, t, source)


@cache
def _names(kind: str) -> frozenset[str]:
    return frozenset(one.name for one in fields(KINDS[kind]))


@cache
def _adapter(kind: str) -> TypeAdapter[Event]:
    return TypeAdapter(KINDS[kind])


def plain(value: Any) -> Any:
    """Classes as objects of JSON, one level after the other; everything else as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _unusual(value: Any) -> Any:
    if isinstance(value, Secret):
        return str(value)
    if hasattr(value, "item"):  # one of numpy's numbers
        return value.item()
    raise TypeError(f"an event cannot hold {type(value).__name__}; give it text or numbers")
