"""The whole of `target.toml`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from core.description.base import Section
from core.description.budget import BudgetPart
from core.description.database import Database
from core.description.load import Load
from core.description.people import People
from core.description.platform import Files, Platform
from core.description.rooms import Rooms
from core.description.services import Content, Privacy, Telemetry
from core.description.storage import Storage
from core.permit import Action

NAMES = {"list": "listing", "json": "fields", "as": "by", "register": "register_"}
"""Keys of the file whose fields are called otherwise, since Python or pydantic has the word."""
Declared = Literal["required", "absent"]


class PermitPart(Section):
    """What may be done to the target, and which further hosts it uses."""

    actions: tuple[Action, ...] | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("actions")
    @classmethod
    def _no_outage(cls, actions: tuple[Action, ...] | None) -> tuple[Action, ...] | None:
        if Action.OUTAGE in (actions or ()):
            raise ValueError("'outage' is for the embedded target alone; remove it")
        return actions


class EmbeddedProject(Section):
    """What the embedded target serves in the reference platform's place: a team's own Supabase project.

    Paths are relative to the file. `config` is the Supabase CLI's `config.toml`. `default_grants` gives the API's
    roles what is made in `public`, as in projects from before 2026-10-30; else the age of the first migration decides.
    """

    migrations: str
    seed: tuple[str, ...] = ()
    config: str = ""
    skip_extensions: tuple[str, ...] = ()
    default_grants: bool | None = None


class TargetSettings(Section):
    """Settings of Assay for this project: classes of its own in the place of the shipped ones."""

    pages: str = ""
    dashboard: str = ""
    """The title of the dashboard at DataDog that shows the platform."""
    logins_per_hour: int | None = None
    """Log-ins that Auth takes from one address in an hour, where the project has another limit than hosted."""
    adapter: str = Field(default="", pattern=r"^([\w.]+:\w+)?$")


class Description(Section):
    """A platform as its project describes it. Every part is optional; what is not named is not there."""

    name: str = ""
    extends: str = ""
    """Another description, beside this file, of which this one only says the differences; `reference` is ours."""
    env_files: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    capabilities: dict[str, Declared] = Field(default_factory=dict)
    platform: Platform = Platform()
    people: People = People()
    database: Database = Database()
    storage: Storage = Storage()
    rooms: Rooms | None = None
    content: Content | None = None
    telemetry: Telemetry = Telemetry()
    privacy: Privacy = Privacy()
    load: Load = Load()
    embedded: EmbeddedProject | None = None
    permit: PermitPart = PermitPart()
    budget: BudgetPart = BudgetPart()
    settings: TargetSettings = TargetSettings()
    places: SkipJsonSchema[dict[str, str]] = Field(default_factory=dict, repr=False)
    """Where each path stands, `file:line`; reading fills it, as it does `folder`. No file may say either."""
    folder: SkipJsonSchema[str] = ""
    """The folder of the file: what it names is beside it."""
    suggested: SkipJsonSchema[bool] = False
    """Made from a catalog, so that nobody decided anything in it; no file may say it."""

    @field_validator("capabilities", mode="before")
    @classmethod
    def _flat(cls, capabilities: object) -> object:
        return flat(capabilities) if isinstance(capabilities, dict) else capabilities

    def _all(self, steps: Sequence[str]) -> list[Any]:
        """What stands at these steps; `*` is every entry of a table."""
        found: list[Any] = [self]
        for step in steps:
            inside: list[Any] = []
            for part in found:
                if isinstance(part, dict):
                    inside += part.values() if step == "*" else [part.get(step)]
                elif isinstance(part, Section):
                    inside.append(getattr(part, NAMES.get(step, step), None))
            found = inside
        return found

    def find(self, path: str) -> Any:
        """What stands at a path such as `platform.whoami` or `database.tables.todos`; None when nothing does."""
        return next(iter(self._all(path.split("."))), None)

    def has(self, path: str) -> bool:
        """Whether something is described there: a route, a table, a bucket, a text that is not empty.

        `*` is any entry: `platform.files.*.link` holds when one kind of file has links.
        """
        return any(bool(found) or isinstance(found, Section) for found in self._all(path.split(".")))

    def where(self, path: str) -> str:
        """`file:line` of what is described at a path, or of the nearest part around it; '' when nobody knows."""
        steps = path.split(".")
        for length in range(len(steps), 0, -1):
            if found := self.places.get(".".join(steps[:length])):
                return found
        return ""

    def files(self, kind: str = "") -> Files | None:
        """One kind of file, or the first that is described."""
        kinds = self.platform.files
        return kinds.get(kind) if kind else next(iter(kinds.values()), None)


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`[capabilities.auth] email = …` and `"auth.email" = …` mean the same."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found
