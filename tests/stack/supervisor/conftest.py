import pytest

from tests.stack.supervisor.harness import Stack, component


@pytest.fixture
def fakes(tmp_path):
    """A folder with two fake components, one needing the other."""
    folder = tmp_path / "components"
    component(folder, "base")
    component(folder, "top", needs=["base"])
    return folder


@pytest.fixture
def stack(tmp_path, fakes):
    found = Stack(tmp_path, fakes)
    yield found
    found.close()
