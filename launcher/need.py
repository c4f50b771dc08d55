"""What a command needs: a run on a live target needs nothing of the embedded one, and a browser only for browser flows.

It reads the command line, the project and the plan as cli.py will, but judges nothing: where it cannot
read a file nothing is to be run, and cli.py says why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ON_A_TARGET = ("validate", "nightly", "check", "load", "doctor", "sweep", "watch")
WITH_CHECKS = ("validate", "nightly", "check")
READING = ("init", "report", "runs", "waive", "mute", "sign-off", "trends", "gate", "down", "status", "env")
"""Commands that start nothing: the Python packages suffice."""
FLAGS = (
    "--list",
    "--pictures",
    "--release",
    "--quiet",
    "-q",
    "--json",
    "--dry-run",
    "--capabilities",
    "--help",
    "--default-grants",
    "--no-default-grants",
    "--verbose",
    "-v",
    "--wide",
    "--smoke",
    "--load",
)
"""Options without a value."""
_CREATES = re.compile(r"create\s+extension\s+(?:if\s+not\s+exists\s+)?\"?(\w+)", re.I)
WEB = "platform.web"
"""The capability that every shipped browser flow needs."""


@dataclass(frozen=True)
class Need:
    """What must be there beside the Python packages."""

    embedded: bool = True
    """The reference platform's parts: Bugsink's packages and npm packages."""
    browser: bool = True
    postgres: bool = True
    extensions: tuple[str, ...] = ("pgtap",)
    """PostgreSQL's extensions that a package of Debian's brings: what migrations create, pgtap for the tests beside them."""
    vector: bool = False
    """A PostgreSQL with pgvector, for migrations that create the extension."""

    @property
    def npm(self) -> bool:
        """The npm packages: the embedded target is built of them, and browser flows judge pages by one."""
        return self.embedded or self.browser


EVERYTHING = Need()
PYTHON_ALONE = Need(embedded=False, browser=False, postgres=False, extensions=())
OWN_MIGRATIONS = Need(embedded=False, browser=False, extensions=())
"""A team's own migrations on the embedded target: PostgreSQL and the Python packages."""


def need_of(arguments: Sequence[str], environ: Mapping[str, str], root: Path, here: Path) -> Need:
    """What this command line needs where `here` is the caller's folder and `root` the checkout."""
    try:
        return _need_of(list(arguments), environ, root, here)
    except (OSError, ValueError, AttributeError, TypeError, StopIteration):
        return PYTHON_ALONE


def _need_of(words: list[str], environ: Mapping[str, str], root: Path, here: Path) -> Need:
    named = _positional(words)
    command = named[0] if named else ""
    if command in ("check", "init", "doctor") and (migrations := _value(words, "--migrations")):
        return _with_tests(here / migrations) if command == "check" else _with_extensions(here / migrations)
    if command in READING:
        return PYTHON_ALONE
    project = _project(_value(words, "--project") or environ.get("ASSAY_PROJECT", ""), root, here)
    target = _value(words, "--target") or environ.get("ASSAY_TARGET") or ("live" if project else "embedded")
    if (
        command in (*WITH_CHECKS, "doctor")
        and target == "embedded"
        and project
        and (migrations := _own_migrations(project / "target.toml"))
    ):
        return _with_tests(project / migrations)
    if command not in ON_A_TARGET or target == "embedded" or "--help" in words:
        return EVERYTHING
    if command not in WITH_CHECKS:
        return PYTHON_ALONE
    name = "target.toml" if target == "live" else f"target.{target}.toml"
    file = here / (_value(words, "--target-file") or name)
    if not file.is_file():
        file = (project or here) / name
    flows = "".join(_texts(root / "scenarios" / "browser")) if _has_pages(file) else ""
    flows += "".join(_texts(project / "flows")) if project else ""
    return Need(
        embedded=False,
        postgres=False,
        extensions=(),
        browser=any(f'"{check}"' in flows for check in _checks(named, words, project, root)),
    )


def _checks(named: list[str], words: list[str], project: Path | None, root: Path) -> list[str]:
    """Ids of the checks that are asked for, or `all`."""
    command = named[0]
    if command == "check" and named[1:]:
        return named[1:]
    plan = _value(words, "--plan") or {"validate": "smoke", "check": "gate"}.get(command, command)
    folders = [project / "plans" if project else root / "plans", root / "plans"]
    file = next(path for folder in folders if (path := folder / f"{plan}.toml").is_file())
    asked = tomllib.loads(file.read_text(encoding="utf-8")).get("checks", [])
    return ["all"] if asked == "all" else list(asked)


def _own_migrations(file: Path) -> str:
    """The folder that `[embedded]` names; "" where it names none."""
    described = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return str(described["embedded"]["migrations"]) if "embedded" in described else ""


def _with_tests(migrations: Path) -> Need:
    """Own migrations, what they create, and pgTAP where tests lie beside them."""
    tests, need = migrations.absolute().parent / "tests", _with_extensions(migrations)
    if any(True for kind in ("*.sql", "*.pg") for _ in tests.rglob(kind)):
        return replace(need, extensions=tuple(sorted({*need.extensions, "pgtap"})))
    return need


def _with_extensions(migrations: Path) -> Need:
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in migrations.glob("*.sql"))
    created = {name.lower() for text in texts for name in _CREATES.findall(text)}
    packages = (Path(__file__).parents[1] / "stack" / "postgres" / "debian_packages.txt").read_text("utf-8")
    packaged = {line.split()[0] for line in packages.splitlines()}
    return replace(OWN_MIGRATIONS, vector="vector" in created, extensions=tuple(sorted(created & packaged)))


def _has_pages(file: Path) -> bool:
    described: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    said = described.get("capabilities", {})
    return bool(described.get("extends")) or "required" in (
        said.get(WEB),
        said.get("platform", {}).get("web"),
    )


def _project(named: str, root: Path, here: Path) -> Path | None:
    """The folder of a project of one's own; None for the reference platform's."""
    if named:
        return here / named if (here / named).resolve() != root / "stack" / "platform" / "assay" else None
    return next((folder for folder in (here, here / "assay") if (folder / "target.toml").is_file()), None)


def _texts(folder: Path) -> Iterator[str]:
    """The modules of flows; one that holds any stands for "all" of them, too."""
    for path in sorted(folder.rglob("test_*.py")):
        yield f'"all"\n{path.read_text(encoding="utf-8")}'


def _value(words: Sequence[str], option: str) -> str:
    for number, word in enumerate(words):
        if word == option and number + 1 < len(words):
            return words[number + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def _positional(words: Sequence[str]) -> list[str]:
    """The words that are neither options nor values of options."""
    found: list[str] = []
    follows = False
    for word in words:
        if not follows and not word.startswith("-"):
            found.append(word)
        follows = word.startswith("-") and "=" not in word and word not in FLAGS and not follows
    return found
