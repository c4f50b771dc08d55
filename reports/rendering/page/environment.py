"""The templates of the pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from reports.judging.verdict_table import STATES

_TEMPLATES = Path(__file__).with_name("templates")


@cache
def script(name: str) -> Markup:
    """A script of ours, as it stands in the templates' folder."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 (our own file)


@cache
def environment() -> Environment:
    """The templates, with everything escaped that is put into them."""
    env = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    env.globals["css"] = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 (our own file)
    env.globals["states"] = STATES
    return env
