"""From the text of a `target.toml` to its description: what is wrong is one sentence with file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config import Document, parse_toml, read_toml
from core.description.document import Description
from core.errors import ConfigError
from core.project import FILE, REFERENCE


def read_description(file: Path) -> Description:
    """The description in a file, and in those that it extends. Raises ConfigError, one sentence with file and line."""
    return validated(_document(file, ()))


def parse_description(text: str, file: Path = Path(FILE), *, suggested: bool = False) -> Description:
    """The same from text; `file` is what messages call it. `suggested` says that nobody decided what stands there."""
    return validated(parse_toml(text, file), suggested=suggested)


def _document(file: Path, below: Sequence[Path]) -> Document:
    if file.resolve() in below:
        raise ConfigError(f"{file} extends itself; remove `extends` from one of them.")
    if not file.exists():
        raise ConfigError(
            f"{file} does not exist, and a live target is described there; "
            "`assay init` writes one (docs/your-platform.md)."
        )
    document = read_toml(file)
    extended = document.data.get("extends")
    if not isinstance(extended, str) or not extended:
        return document
    under = REFERENCE / FILE if extended == "reference" else file.parent / extended
    base = _document(under, (*below, file.resolve()))
    return Document(file, _merged(base.data, document.data), document.lines, base)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `base`, table by table; anything but a table replaces the base's."""
    merged = dict(base)
    for key, value in own.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return merged


def validated(document: Document, *, suggested: bool = False) -> Description:
    """A document as a description. Raises ConfigError, one sentence with file and line, for what is wrong in it."""
    extra: dict[str, Any] = {"places": _places(document), "folder": str(document.path.resolve().parent)}
    extra["suggested"] = suggested
    for name in sorted(set(document.data) & set(extra)):
        raise document.wrong((name,), f"{name} is not known; remove it.")
    return document.model(Description, {**document.data, **extra})


def _places(document: Document) -> dict[str, str]:
    """By path in the document: `file:line` of where it stands."""
    under = _places(document.extended) if document.extended else {}
    own = {".".join(map(str, steps)): f"{document.path}:{line}" for steps, line in document.lines.items()}
    return {**under, **own}
