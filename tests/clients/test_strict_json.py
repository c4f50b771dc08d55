"""What an answer lacks is said in words: missed where the platform promises it, else broken by its service's name."""

from __future__ import annotations

import copy
import json

import httpx
import pytest

from clients.http_port import WireAnswer
from clients.strict_json import strict_json
from core.errors import Missed, ServiceError
from core.outcome import Verdict, classify


def answer(service, value, status=200):
    content = json.dumps(value).encode()
    return WireAnswer(service, "GET /x", status, httpx.Headers(), content, 0, 0, 0)


def test_what_is_there_is_as_ever():
    value = {"file": {"id": "a", "tags": ["x", None]}, "rows": [{"n": 1}]}
    got = answer("platform", value).json(dict)
    assert got == value
    assert json.loads(json.dumps(got)) == value == copy.deepcopy(got)
    assert (got["rows"][0]["n"], got["rows"][-1], got["file"]["tags"][:5]) == (1, {"n": 1}, ["x", None])
    assert got.get("other") is None
    assert "other" not in got
    assert {**got["file"], "id": "b"} == {"id": "b", "tags": ["x", None]}


@pytest.mark.parametrize(
    ("look", "lacking"),
    [
        pytest.param(lambda a: a["file"], "the field 'file'", id="field"),
        pytest.param(lambda a: a["rows"][0], "an entry [0] among 0", id="entry"),
        pytest.param(lambda a: a["deep"][0]["id"], "the field 'id'", id="field within"),
        pytest.param(lambda a: a["deep"][-2], "an entry [-2] among 1", id="entry from the end"),
    ],
)
def test_what_is_not_there_is_missed_in_words(look, lacking):
    value = {"rows": [], "deep": [{"name": "n"}]}
    with pytest.raises(Missed) as caught:
        look(answer("platform", value).json(dict))
    error = caught.value
    assert (error.service, error.expected) == ("platform", lacking)
    assert "GET /x" in error.claim
    assert '"deep"' in error.saw
    assert classify(error) == (Verdict.MISSED, "platform")


@pytest.mark.parametrize("service", ["sentry", "builder", "kv"])
def test_of_a_vendors_api_it_is_broken_by_its_name(service):
    with pytest.raises(
        ServiceError, match=rf"^{service}: GET /x answers without the field 'data': 200"
    ) as caught:
        answer(service, {}).json(dict)["data"]
    assert classify(caught.value) == (Verdict.BROKEN, service)


def test_of_an_answer_that_only_prepares_it_is_broken_too():
    with pytest.raises(ServiceError, match=r"^supabase\.database: "):
        answer("supabase.database", []).demand(200).json(list)[0]
    with pytest.raises(Missed):
        answer("supabase.database", []).expect(200, claim="rows are read").json(list)[0]


def test_an_error_of_the_own_code_stays_what_it_is():
    with pytest.raises(TypeError):
        strict_json([1], ValueError)["x"]
    with pytest.raises(KeyError):
        dict(strict_json({}, ValueError))["x"]
