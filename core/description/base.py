"""What every part of a description shares: strict models, templates, routes, and paths into an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_TEMPLATE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


class Section(BaseModel):
    """A part of a description: an unknown key is an error, and nothing is changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None or found[2].upper() not in _UNITS:
        raise ValueError(f'{value!r} is no size; write bytes, or "5 MiB", "100 MB"')
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _starts_at_the_root(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is no path; begin it with a slash")
    return path


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
"""Bytes: a number, or text with a unit (`KB`, `MB`, `GB` decimal; `KiB`, `MiB`, `GiB` binary)."""
Path = Annotated[str, AfterValidator(_starts_at_the_root)]
"""The path of a route, a template; begins with a slash."""
Where = Annotated[str, Field(pattern=r"^([\w$-]+(\.[\w$-]+)*)?$")]
"""Where in a JSON answer a value stands: `user.id`, `files.0.key`; empty: nowhere."""
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Route(Section):
    """One request of the platform's: `path`, `query`, `headers` and `json` are templates (`{id}`, `{name}`).

    `body` says what is sent: nothing, the bytes themselves (`raw`), or the template `json`. `answers` is the
    status of success.
    """

    method: Method = "GET"
    path: Path
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Literal["none", "raw", "json"] = "none"
    fields: dict[str, Any] = Field(default_factory=dict, alias="json")
    answers: int = Field(default=200, ge=100, le=599)

    @property
    def names(self) -> set[str]:
        """Every name that its templates use."""
        return names_in([self.path, self.query, self.headers, self.fields])


def names_in(value: object) -> set[str]:
    """The names that the templates in a value use, however deep."""
    if isinstance(value, str):
        return set(_TEMPLATE.findall(value))
    if isinstance(value, Mapping):
        return {name for item in value.values() for name in names_in(item)}
    if isinstance(value, Iterable):
        return {name for item in value for name in names_in(item)}
    return set()


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A template with its names replaced, however deep. One that is nothing but a name gives the value itself.

    Raises KeyError for a name without a value; reading a description refuses those beforehand.
    """
    if isinstance(template, str):
        if whole := _TEMPLATE.fullmatch(template):
            return values[whole[1]]
        return _TEMPLATE.sub(lambda found: str(values[found[1]]), template)
    if isinstance(template, Mapping):
        return {key: fill(item, values) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, values) for item in template]
    return template


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    """A path with its names replaced by values quoted for an address, slashes too."""
    return _TEMPLATE.sub(lambda found: quote(str(values[found[1]]), safe=""), template)


def fill_key(template: str, values: Mapping[str, Any]) -> str:
    """A template filled as text: an object's key, a prefix."""
    return str(fill(template, values))


MISSING = object()
"""What `pick` gives where nothing stands."""


def pick(document: Any, where: str, default: Any = MISSING) -> Any:
    """The value that stands at `user.id` or `files.0.key` of a JSON answer, else `default`; all of it for ''."""
    found = document
    for step in filter(None, where.split(".")):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return default
    return found


def allow_names(route: Route | None, allowed: Iterable[str], what: str) -> None:
    """Raises ValueError where a route's templates use a name that this place cannot fill."""
    if route is not None:
        allow(route.names, allowed, what)


def allow(names: Iterable[str], allowed: Iterable[str], what: str) -> None:
    """Raises ValueError for the first name that is not among the allowed ones."""
    known = sorted(set(allowed))
    for name in sorted(set(names) - set(known)):
        raise ValueError(f"{what} uses {{{name}}}, which is not known there; known are {', '.join(known)}")
