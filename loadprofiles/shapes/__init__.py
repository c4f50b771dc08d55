"""Shapes: how many users there are at which time. The number of users asked for is a shape's peak.

    assay load database --users 200 --shape ramp --for 5m

smoke   five users at most: does the profile work at all?
steady  all users, all the time (the default)
ramp    from a tenth to all over two thirds of the time, then held
spike   a fifth of the users; for a fifth of the time all of them at once; then a fifth again
soak    steady, for an hour unless another time is given: what leaks or drifts shows only then
step    looks for the knee: the largest load at which every objective that the load measures still holds

Importing this imports no Locust; `driver.py` is the Locust file that follows a shape.
"""

from __future__ import annotations

NAMES = ("smoke", "steady", "ramp", "spike", "soak", "step")
STEADY = "steady"
SMOKE_USERS = 5
STEP_USERS = 2000
"""Where `step` ends its search unless a number of users is given."""
_RAMP_STEPS = 10

DEFAULT_FOR = {"soak": "1h", "step": "5m"}
"""How long a shape lasts when nobody says; 30s otherwise."""


def peak(shape: str, users: int | None) -> int:
    """The largest number of users of a shape; `users` is what was asked for, None for nothing."""
    if shape == "step":
        return users if users is not None else STEP_USERS
    wanted = users if users is not None else 50
    return min(wanted, SMOKE_USERS) if shape == "smoke" else wanted


def needs_driver(shape: str) -> bool:
    """Whether Locust's own `--users` and `--run-time` do not suffice."""
    return shape in ("ramp", "spike", "step")


def stages(shape: str, users: int, seconds: float) -> list[tuple[float, int]]:
    """(end in seconds since the start, users) of each stage of a ramp or a spike."""
    if shape == "ramp":
        each = seconds * 2 / 3 / (_RAMP_STEPS - 1)
        climb = [
            (each * number, max(1, round(users * number / _RAMP_STEPS))) for number in range(1, _RAMP_STEPS)
        ]
        return [*climb, (seconds, users)]
    low = max(1, users // 5)
    return [(seconds * 0.4, low), (seconds * 0.6, users), (seconds, low)]
