"""A planned load is not started where the target lacks what it needs, or the permit does not give load; nothing is sent."""

from dataclasses import replace

import pytest

from clients.services import catalogue
from core.events import Note, NoteLevel
from core.evidence import Evidence
from core.load_events import LoadLeft
from core.permit import Action
from core.plan import Plan, PlannedProfile
from core.run import Run
from core.target import resolve
from runner.session import RunRequest, RunSession
from tests.clients.strange import environment


@pytest.mark.parametrize(
    ("absent", "permitted", "started", "left"),
    [
        ("", True, ["rooms", "uptime"], []),
        ("rooms.websocket", True, ["uptime"], [("rooms", False, "the target has no rooms.websocket")]),
        (
            "",
            False,
            [],
            [(name, True, "the target's permit does not give load") for name in ("rooms", "uptime")],
        ),
        (
            "rooms.websocket",
            False,
            [],
            [
                ("rooms", False, "the target has no rooms.websocket"),
                ("uptime", True, "the target's permit does not give load"),
            ],
        ),
    ],
)
def test_what_does_not_apply_and_what_is_not_permitted_is_left(tmp_path, absent, permitted, started, left):
    target = resolve("embedded", catalogue(), environment=environment(9))
    actions = target.permit.actions - (set() if permitted else {Action.LOAD})
    target = replace(
        target,
        capabilities={**target.capabilities, **({absent: "absent"} if absent else {})},
        permit=replace(target.permit, actions=frozenset(actions)),
    )
    profiles = [
        PlannedProfile.model_validate({"name": n, "users": 1, "for": "5s"}) for n in ("rooms", "uptime")
    ]
    run = Run.begin(tmp_path, target, "main")
    run.journal.write(Note(NoteLevel.INFO, "a run"))
    session = RunSession(RunRequest(quiet=True), Plan("p", "P", 60.0, profiles=tuple(profiles)), {}, run)
    seen = []
    session._load_group = lambda group, extra: seen.extend(one.name for one in group) or {}
    session.load()
    run.journal.close()
    assert seen == started
    assert [(e.profile, e.applicable, e.why) for e in Evidence(tmp_path).events(LoadLeft)] == left
