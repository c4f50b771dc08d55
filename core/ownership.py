"""Proof that a thing is ours, demanded before it is removed or changed.

A thing is ours if it carries a tag of the run that planned it (`Run.tag`: the end of the run's identifier and 32 random
bits), or an identifier that its service gave us when we made it. What can show neither is somebody's: told, and left.
"""

from __future__ import annotations

import re

from core.errors import AssayError


class NotOursError(AssayError):
    """A thing stands where ours was planned and cannot be shown to be ours; it was left as it is."""


def carries_tag(run: str, text: object) -> bool:
    """Whether a text holds a tag of the run with this identifier."""
    return bool(re.search(rf"{re.escape(run[-6:])}[0-9a-f]{{8}}", str(text)))


def demand_tag(run: str, text: object, what: str) -> str:
    """The text, which names something to be removed. Raises NotOursError where it holds no tag of the run."""
    if not carries_tag(run, text):
        raise NotOursError(f"{what} '{text}' carries no tag of run {run}: it may be somebody's, and was left")
    return str(text)
