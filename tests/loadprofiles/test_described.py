"""Whether an answer is right, as `[[load.http]]` of a project says it; the load on the second platform."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = [
    ({}, 200, "anything", None),
    ({}, 500, "anything", "answered 500"),
    ({"status": 204}, 204, "", None),
    ({"each": ["id"]}, 200, '[{"id": 1}]', None),
    ({"each": ["id"]}, 200, "[]", None),
    ({"each": ["id"]}, 200, '[{"id": 1}, {"it": 2}]', "a row without id"),
    ({"each": ["id"]}, 200, '{"id": 1}', "no list"),
    ({"each": ["id"], "least": 2}, 200, '[{"id": 1}]', "no list of at least 2 rows"),
    ({"each": ["id"]}, 200, '[{"id": 1', "no JSON"),
    ({"holds": {"user.id": "{user}"}}, 200, '{"user": {"id": "me"}}', None),
    ({"holds": {"user.id": "{user}"}}, 200, '{"user": {"id": "another"}}', "user.id is not"),
]
PROGRAM = """
import json, sys
from types import SimpleNamespace
from core.description.load import Expectation
from loadprofiles.described import right

for given, status, body, _ in json.load(sys.stdin):
    expectation = Expectation.model_validate_json(json.dumps(given))
    answer = SimpleNamespace(status=status, json=lambda body=body: json.loads(body))
    print(json.dumps(right(expectation, {"user": "me"}, answer)))
"""


@pytest.fixture(scope="module")
def said():
    """The words for each case, from a process of its own: the profile imports Locust, which patches its process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(CASES), cwd=ROOT, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_answer_is_judged_by_the_description(said, number):
    due = CASES[number][3]
    assert (said[number] is None) == (due is None), said[number]
    assert due is None or due in said[number]
