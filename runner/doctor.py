"""`assay doctor`: read only. What is set, what the services accept, which witnesses answer, what is covered."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from clients.embedded import Serves
from clients.services import catalogue
from core.console import width as width_of
from core.errors import ConfigError
from core.journal import Journal
from core.passport import ATTRIBUTE, Passport
from core.permit import Action
from core.project import find_project, own_module
from core.run import Run, new_directory
from core.secret import Redactor
from core.target import Target, resolve
from reports.rendering.columns import Column, paragraph, print_paragraph, print_table
from reports.rendering.terminal import NARROW
from runner import declared_checks
from runner.preparation import prepare
from runner.session import RunRequest, hold_target
from runner.watch.probing import answer_of, probes_of

NEEDED = ("public key", "secret key", "SQL witness", "API witness", "S3 witness")
"""Probes whose service takes no check where they fail; others ask for one described thing."""
out = Console(highlight=False, width=None)

_COLUMNS = (
    Column("service"),
    Column("answered by", leaves=1, wraps=30),
    Column("variables set", right=True, leaves=2),
    Column("missing", right=True),
)


def list_capabilities(*, as_json: bool = False) -> int:
    """Prints every capability, as target.toml wants them."""
    if as_json:
        print(json.dumps({service.id: dict(service.capabilities) for service in catalogue()}, indent=2))
        return 0
    for service in catalogue():
        print(f"# {service.title}")
        for capability, meaning in service.capabilities.items():
            print(f'"{capability}" = "required"   # {meaning}')
    return 0


def examine(
    kind: str, file: Path, plan_name: str, *, as_json: bool = False, serves: Serves | None = None
) -> int:
    """Examines a target without writing to it; of own migrations that the embedded target `serves` it is told what settings
    would fit.

    Returns 0 when all is well, 2 when a variable that it needs is missing, 3 when something does not answer.
    """
    plan, _ = prepare(plan_name)
    report: dict[str, Any] = {"target": kind}
    if kind != "embedded":
        found = resolve(kind, catalogue(), file=file, complete=False)
        report |= {"target": found.name, "services": _services(found), "missing": list(found.missing)}
        if found.missing:
            if as_json:
                print(json.dumps(report, indent=2))
            else:
                print_variables(found)
            raise ConfigError(
                f"{', '.join(found.missing)}: not set, and the target requires the service; set each, or leave the "
                "capability out of target.toml."
            )
    directory = new_directory(Path(tempfile.gettempdir()) / f"assay-doctor-{os.getuid()}")
    journal = Journal(directory, "doctor", Redactor())
    well = True
    with hold_target(RunRequest(target=kind, target_file=file, serves=serves), journal) as (run, _):
        target = run.target
        report |= {"target": target.name, "services": _services(target), "missing": [], "probes": []}
        if not as_json:
            print_variables(target)
        asked: dict[str, list[tuple[str, bool]]] = {}
        for what, said, good in _probes(run):
            well &= good
            service, _, name = what.partition(": ")
            asked.setdefault(service, []).append((name, good))
            report["probes"].append({"what": what, "well": good, "said": run.redactor.text(said)})
            if as_json:
                continue
            print_probe(what, run.redactor.text(said), good)
        required = list(plan.manifest(declared_checks.gating(own=find_project().own)).checks)
        covered, left = _coverage(target, required, {s for s, probes in asked.items() if _useless(probes)})
        count = len(covered)
        report["plan"] = {
            "name": plan.name, "covered": count, "of": len(required), "checks": covered, "not": left
        }  # fmt: skip
        if as_json:
            print(json.dumps(report, indent=2))
        else:
            print_coverage(plan.name, count, len(required), left)
    journal.close()
    return 0 if well else 3


def _services(target: Target) -> list[dict[str, Any]]:
    """Each service with the variables that are set and those that are not, by every name that counts for them."""
    return [
        {
            "service": service.id,
            "required": any(target.has(c) for c in service.capabilities),
            "set": [v.name for v in service.variables if target.find(v.name)],
            "not set": {
                v.name: list(v.aliases)
                for v in service.variables
                if not target.find(v.name) and not v.optional
            },
        }
        for service in target.services
    ]


def print_variables(target: Target) -> None:
    """The table of services with their variables; then each that is missing, and what is lost without a witness's."""
    rows: list[list[str]] = []
    missing: dict[str, list[str]] = {}
    lost: dict[str, list[str]] = {}
    for service in target.services:
        engine = target.engines.get(service.id)
        needed = any(target.has(c) for c in service.capabilities)
        absent = [v for v in service.variables if needed and not target.find(v.name)]
        lacking = [v for v in absent if not (v.optional or v.witness or v.default)]
        rows.append(
            [
                service.id,
                f"{engine.kind}: {engine.name}" if engine else "vendor",
                str(sum(1 for v in service.variables if target.find(v.name))),
                str(len(lacking) or "none") if needed else "not used",
            ]
        )
        for v in lacking:
            names = " or ".join((v.name, *v.aliases))
            missing.setdefault(f"missing: {names}", []).append(service.id)
        for v in absent:
            if v.witness:
                lost.setdefault(f"without {v.name}, which needs {v.right}, lost is: {v.lost}", []).append(
                    service.id
                )
    print_table(_COLUMNS, rows)
    for text, services in (*missing.items(), *lost.items()):
        print_paragraph(f"{text} ({', '.join(services)})", "  ", 4)
    print()


def print_probe(what: str, said: str, good: bool) -> None:
    """A probe and what it said: ok or no, in colour where the terminal has any."""
    size = width_of(terminal=sys.stdout.isatty())
    mark = "ok" if good else "no"
    first = f"  {mark}   {what:<28} " if size >= NARROW else f"{mark} {what}: "
    for line in paragraph(said, size, first, 7):
        text = Text(line)
        if line.lstrip().startswith(f"{mark} "):
            text.stylize("green" if good else "red", 0, line.index(mark) + 2)
        out.print(text, soft_wrap=True)


def print_coverage(plan: str, count: int, required: int, left: dict[str, list[str]]) -> None:
    """How many of a plan's checks would be covered, and which not, by the reason."""
    print()
    print_paragraph(f"plan {plan}: {count} of {required} checks would be covered")
    for why, identifiers in left.items():
        print_paragraph(f"{why}: {', '.join(identifiers)}", "  ", 4)


def _probes(run: Run) -> Iterator[tuple[str, str, bool]]:
    for what, probe in probes_of(run):
        yield what, *answer_of(probe)


def _useless(probes: list[tuple[str, bool]]) -> bool:
    """Whether a service takes no check: nothing of it answers, or not the key or witness that every check of it needs."""
    return not any(good for _, good in probes) or any(name in NEEDED and not good for name, good in probes)


def _coverage(
    target: Target, required: list[str], useless: set[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Which of a plan's checks would be covered, and the others by the reason why not.

    What `useless` services stand behind would end broken, and so covers nothing.
    """
    known = passports()
    left: dict[str, list[str]] = {}
    covered: list[str] = []
    for identifier in required:
        passport = known.get(identifier)
        if passport is None:
            left.setdefault("not covered, there is no such check", []).append(identifier)
        elif why := passport.inapplicable(target):
            left.setdefault(f"not applicable, {why}", []).append(identifier)
        elif refused := [a for a in passport.actions if not target.permit.allows(a)]:
            left.setdefault(f"not covered, the permit does not give {', '.join(refused)}", []).append(
                identifier
            )
        elif silent := sorted(useless & _services_behind(passport, target)):
            left.setdefault(f"not covered, {', '.join(silent)} does not answer as it must", []).append(
                identifier
            )
        else:
            covered.append(identifier)
    return covered, left


def _services_behind(passport: Passport, target: Target) -> set[str]:
    """The services that a check is about or needs; every person is one of Auth's."""
    needed = {s.id for s in target.services if set(s.capabilities) & set(passport.needs)}
    people = {"supabase.auth"} if Action.ADMIN in passport.actions else set()
    return {passport.service} | needed | people


def passports() -> dict[str, Passport]:
    """Passports of every check, by importing the suites' modules as pytest does. Raises ConfigError."""
    found: dict[str, Passport] = {}
    own = find_project().own
    for path, root in sorted({(one.path, one.root) for one in declared_checks.declared(own=own)}):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        module = own_module(name, path) if root == own else importlib.import_module(name)
        for value in vars(module).values():
            passport = getattr(value, ATTRIBUTE, None)
            if isinstance(passport, Passport):
                found[passport.id] = passport
    return found
