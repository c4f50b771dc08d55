"""Imports run one way, rooms resolve inside the project, and only the load generator loads Locust."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from core.run import VARIABLE
from core.user_settings import KNOWN
from tests.structure.tree import ROOT, imports, modules, room

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "stack": set(),
    "launcher": set(),
    "clients": {"core"},
    "fixtures": {"clients", "core"},
    "scenarios": {"fixtures", "clients", "core"},
    "suites": {"scenarios", "fixtures", "clients", "core"},
    "reference": {
        "suites",
        "scenarios",
        "loadprofiles",
        "loadengine",
        "fixtures",
        "clients",
        "core",
        "stack",
    },
    "loadengine": {"core"},
    "loadprofiles": {"loadengine", "scenarios", "clients", "core"},
    "reports": {"core"},
    "runner": {"suites", "loadprofiles", "scenarios", "fixtures", "clients", "reports", "core"},
    "cli": {"runner", "core"},
    "conftest": {"fixtures", "core"},
}
"""Room -> the rooms that it may import. The reference platform's project (stack/platform/assay) stands on the harness as
every project does; what it names of `stack` is itself. `stack` is reached by subprocess and network alone."""

FREE = {"tests", "bench", "deploy", "docs", "locks"}
"""May import any room: they stand outside."""

LOCUST_IN = {"loadengine", "loadprofiles", "bench", "reference"}
PATCHED = "tests/loadengine/patched/"
"""Cases that test_patched.py runs in processes of their own; pytest does not collect them otherwise."""
ROOMS = set(MAY_IMPORT) | FREE


def test_every_top_level_room_has_a_rule() -> None:
    assert {room(file) for file, _ in modules()} <= ROOMS


def test_imports_run_one_way() -> None:
    wrong = []
    for file, tree in modules():
        mine = room(file)
        for line, imported in imports(tree):
            theirs = imported.split(".")[0]
            if theirs in ROOMS and theirs != mine and mine not in FREE and theirs not in MAY_IMPORT[mine]:
                wrong.append(f"{file}:{line} imports {imported}")
    assert wrong == []


def test_only_the_load_generator_imports_locust() -> None:
    wrong = [
        f"{file}:{line}"
        for file, tree in modules()
        for line, imported in imports(tree)
        if imported.split(".")[0] == "locust"
        and room(file) not in LOCUST_IN
        and not str(file).startswith(PATCHED)
    ]
    assert wrong == []
    never = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"][
        "norecursedirs"
    ]
    assert "patched" in never, "pytest would import them into its own process"


@pytest.mark.parametrize(
    "name", ["cli", "conftest", "fixtures.plugin", "runner.session", "reports.judging.judge"]
)
def test_importing_the_harness_patches_nothing(name: str) -> None:
    """Locust's import replaces the standard library's sockets and threads in the whole process."""
    code = f"import {name}, sys; print('locust' in sys.modules or 'gevent.monkey' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert said.stdout.strip() == "False"


def test_the_launcher_needs_nothing_but_the_standard_library() -> None:
    wrong = [
        f"{file}:{line} imports {imported}"
        for file, tree in modules()
        if room(file) == "launcher"
        for line, imported in imports(tree)
        if imported.split(".")[0] not in sys.stdlib_module_names | {"launcher"}
    ]
    assert wrong == []


def test_each_room_resolves_inside_the_project_from_anywhere(tmp_path: Path) -> None:
    """The rooms' names are common words that packages have too."""
    rooms = sorted(
        {room(file) for file, _ in modules()} - {"tests", "docs", "deploy", "locks", "bench", "reference"}
    )
    code = (
        "import importlib.util, json, sys\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    found[name] = list(spec.submodule_search_locations or [spec.origin]) if spec else []\n"
        "print(json.dumps(found))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, *rooms],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for name, places in json.loads(said.stdout).items():
        assert places, f"{name} is not importable: run ./assay setup"
        assert {Path(place).parent for place in places} == {ROOT}, name


def test_no_room_hides_a_module_of_the_standard_library() -> None:
    assert not {room(file) for file, _ in modules()} & set(sys.stdlib_module_names)


READS_THE_ENVIRONMENT = {
    "core/user_settings.py": "the listed settings of a user, and what a child inherits",
    "core/run.py": "the one variable by which a process joins a run",
    "core/target.py": "the variables of a live target, when a run begins",
}
ENVIRONMENT = {"environ", "environb", "getenv"}
CLOSED = {
    "core", "clients", "fixtures", "scenarios", "suites", "loadengine", "loadprofiles", "reports", "runner", "cli",
}  # fmt: skip


def test_nothing_reads_the_environment_but_the_door() -> None:
    wrong = [
        f"{file}:{node.lineno}"
        for file, tree in modules()
        if room(file) in CLOSED and str(file) not in READS_THE_ENVIRONMENT
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv", "environb")
            and _is_os(node)
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    ]
    assert wrong == []


def test_processes_of_a_run_share_one_variable() -> None:
    """What a child is given beside the user's own environment is written in one place."""
    handed = {
        node.value
        for file, tree in modules()
        if room(file) in CLOSED
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"ASSAY_[A-Z_]+", node.value)
    }
    assert handed - set(KNOWN) == {VARIABLE}


def _is_os(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "os"


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "setup.md").read_text()
    assert [name for name, meaning in KNOWN.items() if f"| `{name}` | {meaning} |" not in text] == []


HANDED = {
    "core/run.py": {VARIABLE},  # yields it, alone
    "loadprofiles/run.py": {"PYTHONPATH"},  # Locust leads its own folder first on the path
    "loadprofiles/setup/hosts.py": {"PYTHONPATH"},  # Locust leads its own folder first on the path
    "reports/rendering/allure.py": {"PATH", "HOME", "ALLURE_NO_ANALYTICS"},  # Allure's own
}
"""Where a child's environment gets a name beside the user's own, and which."""


def test_a_child_gets_no_other_variable_of_ours() -> None:
    """Every `env=` of a started process, every dictionary that goes into one, and every write into our own environment."""
    given: dict[str, set[str]] = {}
    for file, tree in modules():
        if room(file) not in CLOSED:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "for_child":
                for argument in node.args:
                    given.setdefault(file, set()).update(_keys(argument))
            if isinstance(node, ast.Call) and (env := [k.value for k in node.keywords if k.arg == "env"]):
                value = env[0]
                assert _is_passed_on(value), f"{file}:{value.lineno}: make it by for_child"
            if isinstance(node, ast.Assign | ast.AnnAssign) and _is_environment(node):
                given.setdefault(file, set()).update(_keys(node.value))
            if isinstance(node, ast.Yield) and file == "core/run.py":
                given.setdefault(file, set()).update(_keys(node.value))
    assert {file: keys for file, keys in given.items() if keys} == HANDED


def test_our_own_environment_is_written_for_playwright_alone() -> None:
    """`offer` is the one place that writes it: what Playwright, another's program, reads."""
    offered = [
        (file, ast.unparse(node.args[0]))
        for file, tree in modules()
        if room(file) in CLOSED
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func) == "offer"
    ]
    assert offered == [("fixtures/browser/launch.py", "NODE")]
    written = [
        f"{file}:{node.lineno}"
        for file, tree in modules()
        if room(file) in CLOSED and file != "core/user_settings.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store | ast.Del)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "environ"
    ]
    assert written == []


def _name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def _keys(value: ast.expr | None) -> set[str]:
    """The names that a dictionary display gives, wherever in an expression; a name of ours stands for its value."""
    names = {"VARIABLE": VARIABLE}
    return {
        str(key.value) if isinstance(key, ast.Constant) else names.get(ast.unparse(key), ast.unparse(key))
        for node in ast.walk(value or ast.Constant(None))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if key is not None
    }


def _is_environment(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Name) and one.id in ("env", "environment") for one in targets)


def _is_passed_on(value: ast.expr) -> bool:
    """Made by `for_child`, or a name that was made or given in its function."""
    return isinstance(value, ast.Name) or (isinstance(value, ast.Call) and _name(value.func) == "for_child")
