"""A passport says everything that its check uses, so that a target without it leaves the check not applicable."""

import pytest

from clients.services import catalogue
from core.config import takes
from core.description import Description
from runner.doctor import passports
from tests.structure.touches import STORES, checks, touches

CAPABILITIES = {capability for service in catalogue() for capability in service.capabilities}


@pytest.fixture(scope="module")
def known():
    return passports()


def test_every_check_needs_what_it_touches(known):
    lacking = {}
    for identifier, module, function in checks():
        needs = set(known[identifier].needs)
        used = touches(module, function)
        if STORES in used and needs & {"storage.supabase", "storage.r2", "platform.files"}:
            used -= {
                STORES,
                "storage.supabase",
                "storage.r2",
            } - needs  # the helpers look into the store that a file names
        if missing := used - needs:
            lacking[identifier] = sorted(missing)
    assert lacking == {}


def test_every_need_is_a_capability_or_a_key_of_the_description(known):
    unknown = {
        (p.id, need)
        for p in known.values()
        for need in p.needs
        if need not in CAPABILITIES and not takes(Description, tuple(need.split(".")))
    }
    assert unknown == set()


def test_every_capability_is_needed_by_a_check(known):
    assert {need for p in known.values() for need in p.needs} >= CAPABILITIES


def test_the_trace_sees_what_a_check_reaches_through_helpers_and_fixtures(known):
    traced = {identifier: touches(module, function) for identifier, module, function in checks()}
    assert {"storage.supabase", "storage.r2", "database.rest"} <= traced["browser.export_and_erase"]
    assert {"cache.kv", "content.api", "auth.email"} >= traced["cache.kv_hit_and_miss"] - {"platform.api"}
    assert "telemetry.mixpanel" not in traced["privacy.erase"]  # only where the target is embedded
    assert STORES in traced["storage.stranger_denied"]
