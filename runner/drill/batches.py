"""Which defects are planted at the same time: those that cannot meet, so that the whole fits the time."""

from __future__ import annotations

from collections.abc import Sequence

from core.shard import Shard
from runner.drill.catalogue import Defect

MOST = 20
"""Defects in one batch: more of them and a surprise is hard to lay at one's door."""
FEW = 5
"""Defects in one batch of those that a larger one left open."""


def batches(defects: Sequence[Defect], most: int = MOST) -> list[list[Defect]]:
    """The defects in groups, each defect once. The same list gives the same groups.

    Two defects are planted together only if no check is expected to see both and they touch nothing in common. Healthy
    variants go with their like, and so does what runs under a load: there is one of each profile at a time.
    """
    groups: list[list[Defect]] = []
    for defect in sorted(defects, key=lambda d: (d.entry.healthy, not _restarts(d), d.id)):
        home = None if defect.entry.alone else next((g for g in groups if _fits(defect, g, most)), None)
        if home is None:
            groups.append([defect])
        else:
            home.append(defect)
    return groups


def _restarts(defect: Defect) -> bool:
    """Whether a component starts anew for it: such defects come first, so that others go with them."""
    return any(kind in ("source", "config", "process") for kind in defect.kinds)


def _fits(defect: Defect, group: Sequence[Defect], most: int) -> bool:
    if len(group) >= most or group[0].entry.healthy != defect.entry.healthy:
        return False
    return not any(o.entry.alone or o.touched & defect.touched or _loads_meet(o, defect) for o in group)


def _loads_meet(one: Defect, other: Defect) -> bool:
    """Whether one of them runs under a load and the other does not, or both under different loads of one profile."""
    mine, theirs = one.entry.load, other.entry.load
    if mine is None or theirs is None:
        return mine is not theirs
    return mine.profile == theirs.profile and mine.traffic != theirs.traffic


def shard(groups: Sequence[list[Defect]], text: str) -> list[list[Defect]]:
    """The K-th of N parts of the groups, e.g. "2/4". Raises ConfigError for what is no part."""
    part = Shard.parse(text)
    return part.pick(groups) if part else list(groups)
