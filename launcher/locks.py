"""Lock files, read strictly: what is not pinned and hashed is not installed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from launcher.console import USAGE, SetupError, from_os

_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9!+._-]+(\s*;\s*[^\\#]+)?$")
_HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")
_INTEGRITY = re.compile(r"^sha512-[A-Za-z0-9+/]{86}==$")


def digest(*parts: bytes | str) -> str:
    """A key over the parts, in order."""
    whole = hashlib.sha256()
    for part in parts:
        block = part.encode() if isinstance(part, str) else part
        whole.update(len(block).to_bytes(8, "big") + block)
    return whole.hexdigest()


def read(path: Path) -> bytes:
    """The bytes of a lock file. Raises SetupError when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SetupError(f"{_name(path)} is missing: {_restore(path)}.", USAGE) from error
    except OSError as error:
        raise from_os(error, f"reading {path}") from error


def python_pins(path: Path) -> dict[str, str]:
    """Package name (normalized) -> its entry's whole text.

    Raises SetupError, naming the line, for an entry that is not `name==version` with SHA-256 hashes.
    """
    pins: dict[str, str] = {}
    try:
        text = read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SetupError(f"{_name(path)} is damaged (it is not text): {_restore(path)}.", USAGE) from error
    entry: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not entry and (not words or words.startswith("#")):
            continue
        more = words.endswith("\\")
        entry.append(words.removesuffix("\\").strip())
        if more:
            continue
        pin, *hashes = entry
        if not _PIN.match(pin) or not hashes or not all(_HASH.match(word) for word in hashes):
            raise SetupError(
                f"{_name(path)} is damaged: the entry that ends at line {number} is not a pinned and hashed "
                f"package; {_restore(path)}.",
                USAGE,
            )
        name = re.sub(r"[-_.]+", "-", re.split(r"[\[=]", pin)[0]).lower()
        # two entries of one name are two cases of its markers
        pins[name] = "\n".join(filter(None, [pins.get(name), " \\\n    ".join(entry)]))
        entry = []
    if entry or not pins:
        raise SetupError(f"{_name(path)} is damaged: it ends in the middle; {_restore(path)}.", USAGE)
    return pins


def npm_packages(path: Path) -> dict[str, dict[str, Any]]:
    """Place in node_modules -> what the lock says of it, the project itself left out.

    Raises SetupError for a lock that is no lock, lacks a hash, or is not for the package.json beside it.
    """
    try:
        lock = json.loads(read(path))
        packages: dict[str, dict[str, Any]] = dict(lock["packages"])
        asked = json.loads(read(path.with_name("package.json")))
        root = packages.pop("")
        for place, package in packages.items():
            if not (package.get("link") or (place and not place.startswith("node_modules/"))):
                _hashed(path, place, package)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{_name(path)} is damaged (it is not an npm lock file): {_restore(path)}.", USAGE
        ) from error
    differ = sorted(name for name, _ in _direct(root) ^ _direct(asked))
    if differ:
        raise SetupError(
            f"{_name(path)} does not belong to the package.json beside it ({differ[0]} differs): "
            "run locks/update --npm, or restore both from git.",
            USAGE,
        )
    return packages


def _direct(manifest: dict[str, Any]) -> set[tuple[str, str]]:
    """The packages that a manifest asks for itself."""
    groups = ("dependencies", "optionalDependencies", "devDependencies")
    return {(name, version) for group in groups for name, version in manifest.get(group, {}).items()}


def _hashed(path: Path, place: str, package: dict[str, Any]) -> None:
    if not _INTEGRITY.match(package.get("integrity", "")):
        raise SetupError(f"{_name(path)} is damaged: {place} has no hash; {_restore(path)}.", USAGE)


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:]) if path.parent.name == "locks" else path.name


def _restore(path: Path) -> str:
    return f"restore it with `git checkout -- {_name(path)}`"
