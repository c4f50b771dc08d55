"""The platform under test, resolved once from `target.toml` and the environment.

`embedded` is started by us and has every capability. A `live` target is named by environment variables;
each capability is declared `required` or `absent` in `target.toml`, and what is required must be complete:
an empty variable counts as missing, since CI systems pass unset secrets as empty strings.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.permit import EVERYTHING, PRODUCTION_SAFE, Action, Permit, host_of, is_loopback
from core.secret import Redactor, Secret
from core.service import Service, Variable

Kind = Literal["embedded", "live"]
Declared = Literal["required", "absent"]


@dataclass(frozen=True)
class Engine:
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
    engines: Mapping[str, Engine]
    settings: Mapping[str, Any] = field(default_factory=dict)
    control_url: str | None = None
    _values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def has(self, capability: str) -> bool:
        """Whether the target declares this capability as required."""
        return self.capabilities.get(capability) == "required"

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

    def redactor(self) -> Redactor:
        """A redactor that knows every secret of this target."""
        secrets = [v.name for s in self.services for v in s.variables if v.secret]
        return Redactor(self._values[name] for name in secrets if self._values.get(name))

    @property
    def embedded(self) -> bool:
        """True when the platform was started by Assay: its verdict says nothing about a release."""
        return self.kind == "embedded"

    @property
    def loopback(self) -> bool:
        """True when the platform or any service answers on this machine: not a production target."""
        return any(
            v.url and is_loopback(self._values.get(v.name, "")) for s in self.services for v in s.variables
        )

    def describe(self) -> dict[str, Any]:
        """What the journal keeps of the target: names and hosts, never values of secrets."""
        return {
            "kind": self.kind,
            "name": self.name,
            "loopback": self.loopback,
            "variables": list(self.variables),
            "capabilities": dict(self.capabilities),
            "services": {
                s.id: {
                    "title": s.title,
                    "kind": self.engines[s.id].kind if s.id in self.engines else "vendor",
                    "name": self.engines[s.id].name if s.id in self.engines else s.title,
                    "hosts": sorted(
                        {host_of(self._values.get(v.name, "")) for v in s.variables if v.url} - {""}
                    ),
                    "covered": any(self.has(c) for c in s.capabilities),
                }
                for s in self.services
            },
        }


def resolve(
    kind: str,
    services: Iterable[Service],
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    engines: Mapping[str, Engine] | None = None,
    control_url: str | None = None,
) -> Target:
    """Resolves a target. Raises ConfigError, one sentence, naming each variable or line that is wrong."""
    env = os.environ if environment is None else environment
    services = tuple(services)
    if kind not in ("embedded", "live"):
        raise ConfigError(f"'{kind}' is not a target; use --target embedded or --target live.")
    document = _document(file) if kind == "live" else {}
    known = {c for s in services for c in s.capabilities}
    capabilities = (
        _capabilities(document, known, file) if kind == "live" else dict.fromkeys(sorted(known), "required")
    )
    values: dict[str, str] = {}
    missing: list[str] = []
    for service in services:
        needed = any(capabilities.get(c) == "required" for c in service.capabilities)
        for variable in service.variables:
            value = _value(variable, env) or (variable.default or "" if needed else "")
            if value:
                values[variable.name] = value
                if variable.url:
                    _check_url(variable, value)
            elif needed and not (variable.optional or variable.witness) and variable.name not in missing:
                missing.append(variable.name)
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or empty, and the target "
            "requires the service; set it, or declare the capability absent in target.toml."
        )
    permit = Permit(_actions(kind, document), frozenset(_hosts(services, values, document)))
    return Target(
        kind=kind,  # type: ignore[arg-type]
        name=str(document.get("name", kind)),
        capabilities=capabilities,  # type: ignore[arg-type]
        permit=permit,
        services=services,
        engines=dict(engines or {}),
        settings=document.get("settings", {}),
        control_url=control_url if kind == "embedded" else None,
        _values=values,
    )


def _document(file: Path | None) -> dict[str, Any]:
    path = file or Path("target.toml")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist, and a live target is described there; copy target.example.toml and edit it."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; mend that line.") from None
    unknown = set(document) - {"name", "capabilities", "permit", "settings"}
    if unknown:
        raise ConfigError(
            f"{path} has a part '{sorted(unknown)[0]}' that is not known; see target.example.toml."
        )
    return document


def _capabilities(document: Mapping[str, Any], known: set[str], file: Path | None) -> dict[str, str]:
    path = file or Path("target.toml")
    declared = _flat(document.get("capabilities", {}))
    for name, value in declared.items():
        if name not in known:
            raise ConfigError(
                f"{path}: '{name}' is not a capability; `assay doctor --capabilities` lists them."
            )
        if value not in ("required", "absent"):
            raise ConfigError(f'{path}: capability \'{name}\' is {value!r}; write "required" or "absent".')
    silent = sorted(known - set(declared))
    if silent:
        raise ConfigError(f'{path}: say of {", ".join(silent)} whether each is "required" or "absent".')
    return {name: declared[name] for name in sorted(declared)}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`[capabilities.auth] email = …` and `"auth.email" = …` mean the same."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _value(variable: Variable, env: Mapping[str, str]) -> str:
    for name in (variable.name, *variable.aliases):
        if value := env.get(name, "").strip():
            return value
    return ""


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


def _actions(kind: str, document: Mapping[str, Any]) -> frozenset[Action]:
    if kind == "embedded":
        return EVERYTHING
    named = document.get("permit", {}).get("actions")
    if named is None:
        return PRODUCTION_SAFE
    try:
        actions = frozenset(Action(name) for name in named)
    except ValueError as error:
        raise ConfigError(f"target.toml [permit] actions: {error}; known are {', '.join(Action)}.") from None
    if Action.OUTAGE in actions:
        raise ConfigError(
            "target.toml [permit] actions: 'outage' is for the embedded target alone; remove it."
        )
    return actions


def _hosts(
    services: Iterable[Service], values: Mapping[str, str], document: Mapping[str, Any]
) -> Iterable[str]:
    for service in services:
        for variable in service.variables:
            if variable.url and values.get(variable.name):
                yield host_of(values[variable.name])
    yield from (str(host).lower() for host in document.get("permit", {}).get("hosts", []))
