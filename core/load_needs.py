"""What a load profile needs, stated as one literal in its module: `NEEDS = Needs(uses=("database.rest",), people=20)`.

It is read from the source, without importing the profile, since that imports Locust, whose import patches the process.
"""

from __future__ import annotations

import ast
from pathlib import Path

from pydantic import Field, ValidationError

from core.config import StrictModel, nearest, shown
from core.errors import ConfigError

NAME = "NEEDS"


class Needs(StrictModel):
    """What a load needs of the target, and what is made for it beforehand.

    `uses` names everything of the target that it touches: capabilities, and keys that a project describes. `people` are
    signed-in identities, `pages` content pages, `posts` published posts and a draft of each person. `drain` is how many
    seconds requests under way get to finish (0: the engine's own). `leftovers`: it makes files, which are swept
    afterwards. `tries_again`: its users repeat what fails, so errors and silence do not stop the load.
    """

    uses: tuple[str, ...] = Field(min_length=1)
    people: int = Field(default=0, ge=0)
    pages: int = Field(default=0, ge=0)
    posts: int = Field(default=0, ge=0)
    drain: int = Field(default=0, ge=0)
    leftovers: bool = False
    tries_again: bool = False


def read_needs(path: Path) -> Needs:
    """The needs that a profile's module states. Raises ConfigError, one sentence with file and line."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ConfigError(f"{shown(path)} line {error.lineno} is not Python: {error.msg}.") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == NAME for t in node.targets
        ):
            return _needs(node.value, f"{shown(path)} line {node.lineno}")
    example = f'{NAME} = Needs(uses=("database.rest",), people=20)'
    raise ConfigError(f"{shown(path)} does not state what its load needs; write `{example}`.")


def _needs(value: ast.expr, where: str) -> Needs:
    if not (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == Needs.__name__
    ):
        raise ConfigError(f"{where}: {NAME} is to be one Needs(...), written out.")
    given: dict[str, object] = {}
    for word in value.keywords:
        if word.arg not in Needs.model_fields:
            raise ConfigError(
                f"{where}: '{word.arg}' is not known; {nearest(str(word.arg), Needs.model_fields)}"
            )
        try:
            given[word.arg] = ast.literal_eval(word.value)
        except ValueError:
            raise ConfigError(f"{where}: write {word.arg} as a plain value; it is read, not run.") from None
    if value.args:
        raise ConfigError(f"{where}: name each value of Needs(...), as in people=20.")
    try:
        return Needs.model_validate(given, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}: {key}: {first['msg'].lower()}.") from None
