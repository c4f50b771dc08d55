"""Only a failed expectation is missed; every other exception is broken, with the service's name."""

import pytest

from core.clock import eventually, seconds
from core.errors import BrokenError, ConfigError, Missed, PermitError, ServiceError
from core.expect import expect, expect_denied, expect_equal
from core.outcome import Verdict, classify


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_expectations_are_missed():
    for call in (
        lambda: expect(False, "claim"),
        lambda: expect_equal(1, 2, "claim"),
        lambda: expect_denied(False, True, "claim"),
        lambda: expect_denied(True, False, "claim"),
        lambda: eventually(lambda: False, within=0.05, claim="claim"),
    ):
        assert classify(raised(call))[0] is Verdict.MISSED


def test_everything_else_is_broken():
    for error in (
        ServiceError("r2", "x"),
        BrokenError("x"),
        PermitError("x"),
        ValueError(),
        TimeoutError(),
        KeyError("k"),
    ):
        assert classify(error)[0] is Verdict.BROKEN
    assert classify(ServiceError("supabase.auth", "x"))[1] == "supabase.auth"


@pytest.mark.parametrize(
    ("module", "verdict"),
    [
        ("suites.auth.test_x", Verdict.MISSED),
        ("scenarios.browser.test_x", Verdict.MISSED),
        ("fixtures.plugin", Verdict.BROKEN),
        ("clients.services.suites", Verdict.BROKEN),
        ("suites_of_others.x", Verdict.BROKEN),
    ],
)
def test_an_assert_counts_where_checks_live_alone(tmp_path, module, verdict):
    """By the raising module's name: a checkout below a folder called `suites` makes no harness fault a miss."""
    path = str(tmp_path / "suites" / "scenarios" / "x.py")
    error = raised(lambda: exec(compile("assert 1 == 2", path, "exec"), {"__name__": module}))
    assert classify(error)[0] is verdict


def test_eventually_tries_once_more_at_the_deadline_and_passes_errors_through():
    calls = []
    with pytest.raises(Missed, match="within"):
        eventually(lambda: calls.append(1), within=0, claim="never")
    assert calls
    with pytest.raises(ServiceError):
        eventually(lambda: (_ for _ in ()).throw(ServiceError("kv", "gone")), within=1, claim="x")


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("1h30m", 5400), ("250ms", 0.25), (5, 5), ("0s", 0)]
)
def test_durations(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "30", "-5s", "five", "1x", -1, "5s extra", float("nan")])
def test_bad_durations_are_one_sentence(text):
    with pytest.raises(ConfigError, match="is not a duration"):
        seconds(text)
