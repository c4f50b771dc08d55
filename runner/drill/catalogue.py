"""The catalogue of defects: one small TOML file each, read and refused with file and line where it is wrong."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, StringConstraints, Tag

from core.config import Document, StrictModel, Text, load_toml, nearest, read_toml
from core.errors import ConfigError
from core.run import ROOT
from core.service import Service
from reports.judging.checks import Requirements
from runner.declared_checks import Declared

SHIPPED = ROOT / "defects"
PLATFORM = "platform"


class Sql(StrictModel):
    """Statements on the platform's database, as its owner, and those that undo them."""

    sql: Text
    restore: Text


Exact = Annotated[str, StringConstraints(min_length=1)]
"""Text whose blanks count."""


class Function(StrictModel):
    """A change of a function's source in the database. Its old definition is put back by itself."""

    function: Text
    """Its signature, as `regprocedure` takes it: `public.audit()`."""
    find: Exact
    replace: str


class Source(StrictModel):
    """A change of a source file of the embedded target; the component is built from a copy and served."""

    source: Text
    """The file, relative to `stack/`."""
    find: Exact
    replace: str
    all: bool = False
    """Every place where `find` stands; else it must stand exactly once."""


class Match(StrictModel):
    """Which exchanges a proxy rule is for. Patterns are regular expressions, searched; `every` is each n-th of them."""

    method: str = ""
    path: str = ""
    """Of path and query."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """Of the request."""
    body: str = ""
    """Of the request."""
    status: int = 0
    """Of the answer."""
    every: int = Field(default=1, ge=1)


class Change(StrictModel):
    """What becomes of a message on its way."""

    find: str = ""
    """In the body, a regular expression over its bytes."""
    replace: str = ""
    path_find: str = ""
    path_replace: str = ""
    set: Mapping[str, str] = Field(default_factory=dict)
    """Headers."""
    remove: Sequence[str] = ()
    status: int = 0
    delay: float = 0
    """Milliseconds."""
    cut: int = 0
    """Bytes missing at the end of the body, with a length that fits what is left."""
    broken: bool = False
    """The connection ends in the middle of the body."""
    stale: bool = False
    """The first answer to a request of this method, address and person is given again for ever."""
    twice: bool = False
    """The request reaches its service twice."""
    lose: bool = False
    """The connection ends without an answer, and the request reaches nobody."""


class Mock(StrictModel):
    """An answer that is made up; the service is not asked."""

    status: int = 200
    headers: Mapping[str, str] = Field(default_factory=dict)
    body: str = ""


class Frames(StrictModel):
    """What becomes of WebSocket messages. `down` is from the platform to its client."""

    direction: Text = "down"
    match: str = ""
    every: int = Field(default=1, ge=1)
    lose: bool = False
    twice: bool = False
    late: float = 0
    """Milliseconds; later messages overtake it."""
    swap: bool = False
    """It changes places with the next one."""
    close: int = 0
    """The connection is closed with this code instead."""
    find: str = ""
    replace: str = ""


class Proxy(StrictModel):
    """A rule between two parts: whoever asks at this address meets it."""

    proxy: Text
    """A port of the embedded target (platform, supabase, vendors, sentry, cloudflare); live, a variable of the target."""
    match: Match = Match()
    request: Change | None = None
    answer: Change | None = None
    mock: Mock | None = None
    frames: Frames | None = None


class Setting(StrictModel):
    """A value of the embedded target's CONFIG.json, such as `options.content_ttl_seconds`; its component restarts."""

    config: Text
    value: str | int | float | bool
    component: Text = PLATFORM


class Process(StrictModel):
    """A component of the embedded target: `stop`, `kill` (both start it again at the end), or `pause` (SIGSTOP)."""

    process: Text
    action: Text = "stop"


class Command(StrictModel):
    """Commands of one's own, for a staging that no other kind reaches: run by the shell, in the catalogue's folder."""

    command: Text
    restore: Text
    timeout: float = Field(default=300, gt=0)
    """Seconds."""


_KINDS = {
    "sql": Sql,
    "function": Function,
    "source": Source,
    "proxy": Proxy,
    "config": Setting,
    "process": Process,
    "command": Command,
}


def _tag(value: Any) -> str:
    """The kind as pydantic names it; a word that is no key, since it stands in the location of an error."""
    return f"of the kind {_kind(value)}"


def _kind(value: Any) -> str:
    named = [kind for kind in _KINDS if (kind in value if isinstance(value, dict) else hasattr(value, kind))]
    return named[0] if named else ""


Plant = Annotated[
    Annotated[Sql, Tag("of the kind sql")]
    | Annotated[Function, Tag("of the kind function")]
    | Annotated[Source, Tag("of the kind source")]
    | Annotated[Proxy, Tag("of the kind proxy")]
    | Annotated[Setting, Tag("of the kind config")]
    | Annotated[Process, Tag("of the kind process")]
    | Annotated[Command, Tag("of the kind command")],
    Discriminator(_tag),
]


class Load(StrictModel):
    """The load under which a defect of speed shows."""

    profile: Text
    users: int = Field(default=10, ge=1)
    rate: float = Field(default=0, ge=0)
    seconds: float = Field(default=20, gt=0)
    variables: Mapping[str, str] = Field(default_factory=dict)
    """The profile's settings, such as ASSAY_UPLOAD_MB."""
    objectives: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """Tables over those of the objectives, so that a small load can decide: `{ "perf.upload" = { limit = 8 } }`."""

    @property
    def traffic(self) -> Load:
        """The load without what it is judged by."""
        return self.model_copy(update={"objectives": {}})


class Entry(StrictModel):
    """One file of the catalogue, as it stands."""

    title: Text
    """The fault in one sentence."""
    requirement: Text
    service: Text
    words: Text
    """How an incident report tells it."""
    where: Text = Field(alias="source")
    """Where it really happened: an issue of a tracker, an advisory, a list."""
    caught_by: Sequence[Text] = ()
    """Checks and objectives of which at least one must be missed; all of them may be."""
    says: str = ""
    """A regular expression that a missed check's words must hold: they lead to the cause."""
    subtle: bool = False
    smoke: bool = False
    """The one of its requirement that the smoke drill plants."""
    healthy: bool = False
    """Not a fault: none of `watched_by` may be anything but met."""
    watched_by: Sequence[Text] = ()
    touches: Sequence[Text] = ()
    """What it shares with others, in words of one's own: two that share a word, or a check, are never planted together."""
    alone: bool = False
    """Never planted beside another."""
    load: Load | None = None
    plant: Sequence[Plant] = Field(min_length=1)


@dataclass(frozen=True)
class Defect:
    """One entry with its identifier: its place in the catalogue, such as `P1.3/audit-row-dropped`."""

    id: str
    entry: Entry
    digest: str
    folder: Path

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks and objectives that it is tried by."""
        return tuple(self.entry.watched_by if self.entry.healthy else self.entry.caught_by)

    @property
    def touched(self) -> frozenset[str]:
        """What no other defect planted at the same time may touch."""
        return frozenset((*self.entry.touches, *self.checks))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its plants, in the order of the file."""
        return tuple(_kind(plant) for plant in self.entry.plant)


def read_catalogue(
    folder: Path,
    checks: Sequence[Declared],
    objectives: Sequence[str],
    services: Sequence[Service],
    listed: Path,
) -> list[Defect]:
    """Every defect below a folder, in the order of their identifiers. Raises ConfigError for the first that is wrong."""
    if not folder.is_dir():
        raise ConfigError(f"the catalogue {folder} is no folder; name one that holds defects as .toml files.")
    known = {check.id for check in checks} | set(objectives)
    requirements = {i for group in load_toml(listed, Requirements).root.values() for i in group}
    parts = {service.id for service in services} | {PLATFORM}
    found = []
    for file in sorted(folder.rglob("*.toml")):
        document = read_toml(file)
        _refuse_kinds(document)
        entry = document.model(Entry)
        _refuse(document, entry, known, requirements, parts)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        name = file.relative_to(folder).with_suffix("").as_posix()
        found.append(Defect(name, entry, digest, folder))
    if not found:
        raise ConfigError(f"the catalogue {folder} holds no defect.")
    return found


def _refuse_kinds(document: Document) -> None:
    plants = document.data.get("plant")
    for number, plant in enumerate(plants if isinstance(plants, list) else ()):
        if not _kind(plant):
            raise document.wrong(("plant", number), f"a plant has one of the keys {', '.join(_KINDS)}.")


def _refuse(
    document: Document, entry: Entry, known: set[str], requirements: set[str], parts: set[str]
) -> None:
    if entry.requirement not in requirements:
        raise document.wrong(
            ("requirement",), f"'{entry.requirement}': {nearest(entry.requirement, requirements)}"
        )
    if entry.service not in parts:
        raise document.wrong(("service",), f"'{entry.service}': {nearest(entry.service, parts)}")
    wanted, other = ("watched_by", "caught_by") if entry.healthy else ("caught_by", "watched_by")
    if not getattr(entry, wanted):
        raise document.wrong((wanted,), f"{wanted} is missing: name the checks or objectives.")
    if getattr(entry, other):
        raise document.wrong((other,), f"{other} does not go with healthy = {str(entry.healthy).lower()}.")
    for name in entry.load.objectives if entry.load else ():
        if name not in getattr(entry, wanted):
            raise document.wrong(("load", "objectives", name), f"{name} does not stand in {wanted}.")
    for name in getattr(entry, wanted):
        if name not in known:
            raise document.wrong(
                (wanted,), f"there is no check or objective '{name}'; {nearest(name, known)}"
            )


def select(defects: Sequence[Defect], only: Sequence[str]) -> list[Defect]:
    """Those that a word names: an identifier, its beginning, a pattern with `*`, a requirement, a service or a kind.

    Raises ConfigError for a word that names none.
    """
    if not only:
        return list(defects)
    chosen: dict[str, Defect] = {}
    for word in only:
        named = [d for d in defects if _names(word, d)]
        if not named:
            raise ConfigError(f"--only {word} names no defect; {nearest(word, [d.id for d in defects])}")
        chosen |= {d.id: d for d in named}
    return [d for d in defects if d.id in chosen]


def _names(word: str, defect: Defect) -> bool:
    entry = defect.entry
    return (
        defect.id == word
        or defect.id.startswith(word.rstrip("/") + "/")
        or fnmatch.fnmatchcase(defect.id, word)
        or word in (entry.requirement, entry.service, *defect.kinds)
        or (word == "healthy" and entry.healthy)
        or (word == "subtle" and entry.subtle)
        or (word == "smoke" and entry.smoke)
    )
