"""The platform under test, resolved once from `target.toml` and the environment.

`embedded` is the reference platform, started by us, and has every capability. A `live` target is named by
environment variables and described in its project's `target.toml`: a capability that is not named there is absent,
and what is required must be complete. An empty variable counts as missing, since CI systems pass unset secrets as
empty strings.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core.config import nearest, takes
from core.description import Description, read_description
from core.errors import ConfigError
from core.permit import EVERYTHING, PRODUCTION_SAFE, Action, Origin, Permit, host_of, is_loopback
from core.project import FILE, REFERENCE, Project, find_project, read_env
from core.secret import Secret
from core.service import Service, Variable

Kind = Literal["embedded", "live"]
TLS = "platform.tls"
"""The one capability that nobody has to name: a target has it unless it answers on this machine."""
Declared = Literal["required", "absent"]


@dataclass(frozen=True)
class ServiceEngine:
    """What answers for a service: `engine` (the real program), `stand-in` (ours), or `vendor` (live)."""

    kind: Literal["engine", "stand-in", "vendor"]
    name: str


@dataclass(frozen=True)
class Target:
    """A resolved target. `get` and `secret` hand out variables; nothing else reads the environment."""

    kind: Kind
    name: str
    capabilities: Mapping[str, Declared]
    permit: Permit
    services: tuple[Service, ...]
    engines: Mapping[str, ServiceEngine]
    settings: Mapping[str, Any] = field(default_factory=dict)
    control_url: str | None = None
    control_token: str = field(default="", repr=False)
    description: Description = field(default_factory=Description)
    _values: Mapping[str, str] = field(default_factory=dict, repr=False)
    _masked: tuple[str, ...] = field(default=(), repr=False)
    missing: tuple[str, ...] = ()
    """Variables that it needs and that are not set; a target is complete before a run begins."""

    def has(self, name: str) -> bool:
        """Whether the target has this: a capability that it requires, or a key that its project describes."""
        if name in self.capabilities:
            return self.capabilities[name] == "required"
        return self.description.has(name)

    def knows(self, name: str) -> bool:
        """Whether a name is a capability, or a key that a description may hold: what it means to lack it is clear."""
        return name in self.capabilities or takes(Description, tuple(name.split(".")))

    def lacking(self, needs: Iterable[str], who: str) -> str:
        """Which of these needs the target does not have, in words; empty when it has all.

        Raises ConfigError for a need that nobody knows: misspelt, it would never apply and close nothing.
        """
        needs = tuple(needs)
        if unknown := [name for name in needs if not self.knows(name)]:
            raise ConfigError(
                f"{who} needs '{unknown[0]}', which is neither a capability nor a key of target.toml; "
                f"{nearest(unknown[0], self.capabilities)}"
            )
        absent = [name for name in needs if not self.has(name)]
        return f"the target has no {', '.join(absent)}" if absent else ""

    def get(self, name: str) -> str:
        """A variable's value. Raises ConfigError with its name when it is not set."""
        value = self._values.get(name, "")
        if not value:
            raise ConfigError(f"{name} is not set; `assay doctor` lists what this target needs.")
        return value

    def find(self, name: str) -> str | None:
        """A variable's value, or None when it is not set."""
        return self._values.get(name) or None

    def secret(self, name: str) -> Secret:
        """A secret variable's value, masked wherever it is printed."""
        return Secret(self.get(name))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables that are set."""
        return tuple(sorted(name for name, value in self._values.items() if value))

    def secrets(self) -> list[Secret]:
        """Every secret of this target, for the run's redactor."""
        names = [v.name for s in self.services for v in s.variables if v.secret]
        found = [self._values.get(name, "") for name in names]
        return [Secret(value) for value in [*found, *self._masked, self.control_token] if value]

    @property
    def embedded(self) -> bool:
        """True when the platform was started by Assay: its verdict says nothing about a release."""
        return self.kind == "embedded"

    def identity(self) -> dict[str, str]:
        """Which account and project each service is, as a digest; what was made in another one is not removed here.

        Empty for the embedded target, whose addresses change with each start.
        """
        if self.embedded:
            return {}
        named = {
            s.id: "\n".join(self._values.get(name, "") for name in s.identity)
            for s in self.services
            if s.identity
        }
        return {key: hashlib.sha256(value.encode()).hexdigest()[:16] for key, value in named.items()}

    @property
    def loopback(self) -> bool:
        """True when the platform or any service answers on this machine: not a production target."""
        return any(
            v.url and is_loopback(self._values.get(v.name, "")) for s in self.services for v in s.variables
        )

    def hosts_of(self, service: Service) -> tuple[str, ...]:
        """The hosts at which this target's service answers."""
        found = {host_of(self._values.get(v.name, "")) for v in service.variables if v.url}
        return tuple(sorted(found - {""}))


def resolve(
    kind: str,
    services: Iterable[Service],
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    engines: Mapping[str, ServiceEngine] | None = None,
    control_url: str | None = None,
    control_token: str = "",
    project: Project | None = None,
    complete: bool = True,
    serves: Description | None = None,
) -> Target:
    """Resolves a target. Raises ConfigError, one sentence, naming each variable or line that is wrong.

    Without `complete` variables may be missing: for who only looks (`assay doctor`). `serves` is the description of the
    team's own project that the embedded target serves in the reference platform's place.
    """
    env = dict(os.environ if environment is None else environment)
    services = tuple(services)
    if kind == "embedded":
        file = REFERENCE / FILE
    elif file is None or (file == Path(FILE) and not file.is_file()):
        file = _file_of(kind, project or find_project(environment=environment))
        kind = "live"
    if kind not in ("embedded", "live"):
        raise ConfigError(f"'{kind}' is not a target; use --target embedded or --target live.")
    description = serves or read_description(file)
    known = {c for s in services for c in s.capabilities}
    from_files = {} if kind == "embedded" else _from_files(description, file.parent)
    env = {
        **from_files,
        **{name: value for name, value in env.items() if value.strip() or name not in from_files},
    }
    capabilities: dict[str, Declared] = dict.fromkeys(sorted(known), "required")
    if kind == "live" or serves:
        capabilities = _capabilities(description, known)
    if serves:
        served = {c for s in services if s.id in (engines or {}) for c in s.capabilities}
        capabilities = {name: said if name in served else "absent" for name, said in capabilities.items()}
    theirs = _names(description, services) if kind == "live" else {}
    values: dict[str, str] = {}
    missing: list[str] = []
    given = _given(services, env, theirs)
    for service in services:
        needed = any(capabilities.get(c) == "required" for c in service.capabilities)
        for variable in service.variables:
            value = given.get(variable.name) or (_default(variable, given) if needed else "")
            if value:
                values[variable.name] = value
                if variable.url:
                    _check_url(variable, value)
            elif needed and not _may_lack(variable, given) and variable.name not in missing:
                missing.append(variable.name)
    if missing and complete:
        raise ConfigError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or empty, and the target "
            "requires the service; set it, or declare the capability absent in target.toml."
        )
    if TLS in capabilities and TLS not in (description.capabilities if kind == "live" else {}):
        named = [values[v.name] for s in services for v in s.variables if v.url and v.name in values]
        capabilities[TLS] = "absent" if kind == "embedded" or any(map(is_loopback, named)) else "required"
    permit = Permit(_actions(kind, description), frozenset(_hosts(services, values, description)))
    public = {v.name for s in services for v in s.variables if not v.secret}
    shown = {value for name, value in values.items() if name in public}
    return Target(
        kind=kind,  # type: ignore[arg-type]
        name=description.name if (kind == "live" or serves) and description.name else kind,
        capabilities=capabilities,
        permit=permit,
        services=services,
        engines=dict(engines or {}),
        settings=description.settings.model_dump(exclude_defaults=True) if kind == "live" or serves else {},
        control_url=control_url if kind == "embedded" else None,
        control_token=control_token if kind == "embedded" else "",
        description=description,
        _values=values,
        missing=tuple(missing),
        _masked=tuple(value for value in from_files.values() if value not in shown),
    )


def _file_of(kind: str, project: Project) -> Path:
    """The description of a target that the command line names: `live`, or `staging` for target.staging.toml."""
    if kind == "live":
        return project.target_file()
    if kind not in project.targets:
        more = "".join(f", {name}" for name in project.targets)
        raise ConfigError(
            f"'{kind}' is not a target; use --target embedded or --target live"
            + (f" (or one of the project's own{more})." if more else ".")
        )
    return project.target_file(kind)


def _from_files(description: Description, folder: Path) -> dict[str, str]:
    """Variables of the description's `env_files`; of two files the later one counts."""
    return {name: value for file in description.env_files for name, value in read_env(folder / file).items()}


def _names(description: Description, services: Iterable[Service]) -> Mapping[str, str]:
    """Their names by ours, as `[env]` tells."""
    known = sorted({v.name for s in services for v in s.variables})
    for name in description.env:
        if name not in known:
            raise ConfigError(
                f"{description.where(f'env.{name}')}: '{name}' is not one of Assay's variables; {nearest(name, known)} "
                "Write ours on the left and yours on the right; `assay doctor` lists them."
            )
    return description.env


def _capabilities(description: Description, known: set[str]) -> dict[str, Declared]:
    """Every capability; one that is not named is absent."""
    for name in description.capabilities:
        if name not in known:
            raise ConfigError(
                f"{description.where(f'capabilities.{name}')}: '{name}' is not a capability; {nearest(name, known)} "
                "`assay doctor --capabilities` lists them all."
            )
    return {name: description.capabilities.get(name, "absent") for name in sorted(known)}


def _given(services: Iterable[Service], env: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """What the environment says, by first names; a tool's common words count only where all of its are there."""
    variables = {v.name: v for s in services for v in s.variables}
    local = {v.local for v in variables.values() if v.local and not v.optional}
    complete = bool(local) and all(env.get(name, "").strip() for name in local)
    found: dict[str, str] = {}
    for variable in variables.values():
        mapped = [theirs[variable.name]] if variable.name in theirs else []
        local_name = [variable.local] if complete and variable.local else []
        names = (*mapped, variable.name, *variable.aliases, *local_name)
        found[variable.name] = next((value for name in names if (value := env.get(name, "").strip())), "")
    return found


def _default(variable: Variable, given: Mapping[str, str]) -> str:
    """The vendor's own address; none while a variable that stands in it is unknown."""
    text = variable.default or ""
    for name in re.findall(r"{(\w+)}", text):
        if not given.get(name):
            return ""
        text = text.replace(f"{{{name}}}", given[name])
    return text


def _may_lack(variable: Variable, given: Mapping[str, str]) -> bool:
    instead = bool(variable.unless) and all(given.get(name) for name in variable.unless)
    return variable.optional or variable.witness or bool(variable.default) or instead


def _check_url(variable: Variable, value: str) -> None:
    try:
        parts = urlsplit(value)
        good = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        shown = "its value" if variable.secret else f"'{value}'"
        raise ConfigError(f"{variable.name}: {shown} is not an address like https://host; correct it.")
    if parts.scheme not in ("http", "https", "ws", "wss", "postgres", "postgresql"):
        raise ConfigError(
            f"{variable.name} has the scheme '{parts.scheme}'; use https (or postgresql for SQL)."
        )


def _actions(kind: str, description: Description) -> frozenset[Action]:
    if kind == "embedded":
        return EVERYTHING
    named = description.permit.actions
    if named is None:
        return PRODUCTION_SAFE
    return frozenset(named)


def _hosts(services: Iterable[Service], values: Mapping[str, str], description: Description) -> Iterable[str]:
    for service in services:
        for variable in service.variables:
            if variable.url and values.get(variable.name):
                yield str(Origin.of(values[variable.name]))
    yield from (host.lower() for host in description.permit.hosts)
