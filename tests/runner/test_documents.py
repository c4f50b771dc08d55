"""The example target and the guide know every capability and variable that the services declare."""

import shutil
from pathlib import Path

from clients.services import catalogue
from core.target import resolve

ROOT = Path(__file__).parents[2]


def test_the_example_target_resolves_with_every_variable_set(tmp_path):
    shutil.copy(ROOT / "target.example.toml", tmp_path / "target.toml")
    environment = {
        v.name: "https://example.test" if v.url else "x" * 10 for s in catalogue() for v in s.variables
    }
    target = resolve("live", catalogue(), environment=environment, file=tmp_path / "target.toml")
    assert all(target.has(c) for s in catalogue() for c in s.capabilities)


def test_the_guide_names_every_variable_and_has_every_services_part():
    guide = (ROOT / "docs" / "live-target.md").read_text()
    for service in catalogue():
        assert f"## {service.guide.partition('#')[2]}\n" in guide
        for variable in service.variables:
            assert f"`{variable.name}`" in guide
            assert [name for name in variable.names if name not in guide] == []
            assert not variable.witness or (variable.right in guide and variable.lost in guide)
