"""Who may do what before and after a change: two runs' matrices side by side, as sentences for a pull request."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clients.embedded import Serves
from core.errors import ConfigError
from runner import own_schema

CHECKS = ("database.rls_matrix", "storage.bucket_matrix", "database.advisors", "storage.advisors")
"""What tells who may do what: all that is run for the base."""
VERBS = {"C": "insert", "R": "read", "U": "update", "D": "delete"}
Letters = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Access:
    """What a run found out by trying: letters of CRUD by table or bucket and role; privileges; findings of the advisors."""

    tables: Letters = field(default_factory=dict)
    buckets: Letters = field(default_factory=dict)
    granted: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    public: Mapping[str, bool] = field(default_factory=dict)
    findings: frozenset[str] = frozenset()
    untried: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_run(cls, directory: Path) -> Access:
        """From a run's evidence; what it did not try is empty."""
        tables, buckets = _read(directory, "access-tables"), _read(directory, "access-buckets")
        findings = [*_read(directory, "database.advisors", []), *_read(directory, "storage.advisors", [])]
        return cls(
            tables.get("access", {}),
            buckets.get("access", {}),
            tables.get("granted", {}),
            buckets.get("public", {}),
            frozenset(
                f"{f['name']}: {f['on']}: {f['why']} ({f['state']})"
                for f in findings
                if f["level"] != "INFO"
                or not f["name"][0].isdigit()  # Supabase's own of this level are about upkeep
            ),
            tables.get("untried", {}),
        )


def _read(directory: Path, name: str, default: Any = None) -> Any:
    file = directory / "evidence" / f"{name}.json"
    return (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {} if default is None else default
    )


def changes(base: Access, head: Access) -> list[str]:
    """What a change did, one sentence each: who may do more or less, what is new or gone, what was granted or found."""
    stated = [*_verbs(base.tables, head.tables, ""), *_verbs(base.buckets, head.buckets, "bucket ")]
    stated += [
        f"bucket `{name}` is {'now public: everybody reads its objects' if public else 'no longer public'}"
        for name, public in head.public.items()
        if name in base.public and base.public[name] != public
    ]
    for table, roles in head.granted.items():
        for role, held in roles.items() if table in base.granted else ():
            before = set(base.granted[table].get(role, ()))
            if more := sorted(set(held) - before):
                stated.append(f"`{table}`: {', '.join(more)} granted to `{role}`")
            if less := sorted(before - set(held)):
                stated.append(f"`{table}`: {', '.join(less)} revoked from `{role}`")
    stated += [f"new finding {finding}" for finding in sorted(head.findings - base.findings)]
    return stated + [f"no finding any more {finding}" for finding in sorted(base.findings - head.findings)]


def _verbs(base: Letters, head: Letters, kind: str) -> Iterator[str]:
    for name in sorted({*base, *head}):
        if name not in head:
            yield f"{kind}`{name}` is gone"
            continue
        for role, letters in sorted(head[name].items()):
            before = base.get(name, {}).get(role, "")
            for more, words in (
                (set(letters) - set(before), "may now"),
                (set(before) - set(letters), "may no longer"),
            ):
                if verbs := [VERBS[letter] for letter in "CRUD" if letter in more]:
                    new = " (new)" if name not in base else ""
                    yield f"{kind}`{name}`{new}: `{role}` {words} {' and '.join(verbs)}"


def comment(base: Access, head: Access) -> str:
    """The same in Markdown, the first part of a pull request's comment, with the matrix as it is now."""
    stated = changes(base, head)
    lines = ["### Who may do what", "", *(f"- {line}" for line in stated or ["Nothing changed."]), ""]
    for title, letters in (("table", head.tables), ("bucket", head.buckets)):
        roles = list(dict.fromkeys(role for entry in letters.values() for role in entry))
        if letters:
            lines += [f"| {title} | {' | '.join(roles)} |", "|---" * (len(roles) + 1) + "|"]
            lines += [
                f"| `{name}` | {' | '.join(_sorted(entry.get(role, '')) or '-' for role in roles)} |"
                for name, entry in sorted(letters.items())
            ]
            lines.append("")
    lines += [
        f"Not tried: `{name}`: {why.splitlines()[0][:200]}" for name, why in sorted(head.untried.items())
    ]
    return "\n".join(lines).rstrip() + "\n"


def _sorted(letters: str) -> str:
    return "".join(letter for letter in "CRUD" if letter in letters)


@contextmanager
def base_of(serves: Serves, base: str) -> Iterator[Serves | None]:
    """What the embedded target serves for the base: a folder of migrations, or the same folder at a commit of git.

    None where the commit has no such folder. Raises ConfigError for what is neither.
    """
    if Path(base).is_dir():
        yield replace(own_schema.named(Path(base)), skip_extensions=serves.skip_extensions)
        return
    around = serves.migrations.parent
    root = Path(_git(around, "rev-parse", "--show-toplevel").decode().strip())
    inside = around.resolve().relative_to(root.resolve())
    _git(root, "rev-parse", "--verify", f"{base}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="assay-base-") as folder:
        listed = _git(root, "ls-tree", "-r", "--name-only", base, "--", str(inside / serves.migrations.name))
        if not listed.strip():
            yield None
            return
        archive = _git(root, "archive", "--format=tar", base, "--", str(inside))
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:  # Python 3.11.2, Debian's: git made this archive of the caller's own repository
                tar.extractall(folder)  # noqa: S202
        there = Path(folder) / inside
        config = (
            there / serves.config.relative_to(around)
            if serves.config and serves.config.is_relative_to(around)
            else None
        )
        yield own_schema.named(
            there / serves.migrations.name,
            config=config if config and config.is_file() else None,
            skip_extensions=serves.skip_extensions,
            default_grants=serves.default_grants,
        )


def _git(folder: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(
            f"--base: git {words[0]} says: {said[-1] if said else done.returncode}; name a folder of migrations or a commit."
        )
    return done.stdout
