"""What a load needs is one literal; a word that nobody knows is refused by name, so that nothing is quietly zero."""

from pathlib import Path

import pytest

from clients.services import catalogue
from core.config import takes
from core.description import Description
from core.errors import ConfigError
from core.load_needs import Needs, read_needs

ROOT = Path(__file__).parents[2]


def read(tmp_path, text):
    path = tmp_path / "own.py"
    path.write_text(f"from locust import nothing_is_imported\n\n{text}\n")
    return read_needs(path)


def test_it_is_read_without_importing_the_profile(tmp_path):
    assert read(tmp_path, 'NEEDS = Needs(uses=("a.b",), people=10_000, leftovers=True)') == Needs(
        uses=("a.b",), people=10_000, leftovers=True
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'NEEDS = Needs(uses=("a",), pepole=20)',
            "own.py line 3: 'pepole' is not known; did you mean 'people'?",
        ),
        ('NEEDS = Needs(uses=("a",), people="20")', "line 3: people: input should be a valid integer"),
        (
            'NEEDS = Needs(uses=("a",), people=-1)',
            "line 3: people: input should be greater than or equal to 0",
        ),
        ("NEEDS = Needs(people=20)", "line 3: uses: field required"),
        ("NEEDS = Needs(uses=())", "line 3: uses: tuple should have at least 1 item"),
        ('NEEDS = Needs(uses=("a",), people=len(x))', "line 3: write people as a plain value"),
        ('NEEDS = Needs(("a",))', "line 3: name each value of Needs"),
        ('NEEDS = {"people": 20}', "line 3: NEEDS is to be one Needs"),
        ("PEOPLE = 20", "does not state what its load needs"),
        ("NEEDS = Needs(", "is not Python"),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_every_shipped_profile_needs_what_services_offer():
    known = {capability for service in catalogue() for capability in service.capabilities}
    for path in (ROOT / "loadprofiles").glob("*.py"):
        if path.stem not in ("__init__", "run"):
            unknown = {n for n in read_needs(path).uses if not takes(Description, tuple(n.split(".")))}
            assert unknown <= known, path.stem
