"""What may stand in a file: no unfinished work, no hidden errors, no address of a registry, no secret."""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib

import pytest

from tests.structure.tree import ROOT, files, modules, name, room, texts

LONGEST = 500
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    r"pypi\."
    + "org|pythonhosted"
    + r"\.org|registry\.npmjs|registry\.yarnpkg|(deb|security|snapshot)\."
    + r"debian\.org"
)
MACHINE = re.compile(r"(?<![\w.~-])/(" + "work|farm" + r")(/|\b(?=[\"'\s]))")
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + "X|HA" + r"CK)\b")
SECRETS = re.compile(
    "-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----\n[A-Za-z0-9+/]"
    r"|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b|\bsntrys_[A-Za-z0-9]{40}"
    r"|\bsb_secret_[A-Za-z0-9]{22,}\b|\bnpm_[A-Za-z0-9]{36}\b"
)
LOCKS = {"package-lock.json", "locks/browser/package-lock.json"}  # hashes: any word may occur in them


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (
            REGISTRIES,
            "names a package registry's host: packages are named, their place is the machine's setting",
        ),
        (MACHINE, "names a folder of one machine"),
        (UNFINISHED, "marks unfinished work: finish it, or file it"),
        (SECRETS, "looks like a real secret"),
    ],
)
def test_no_file_holds(pattern: re.Pattern[str], why: str) -> None:
    wrong = [
        f"{file}:{text[: found.start()].count(chr(10)) + 1} {why}: {found.group()[:20]}"
        for file, text in texts()
        if file not in LOCKS
        for found in pattern.finditer(text)
    ]
    assert wrong == []


def test_every_data_file_can_be_read() -> None:
    for file, text in texts():
        if file.endswith(".json"):
            json.loads(text)
        elif file.endswith(".toml"):
            tomllib.loads(text)


def test_no_file_is_longer_than_a_person_reads() -> None:
    code = (".py", ".ts", ".mjs", ".js", ".sql", ".css")
    assert [file for file, text in texts() if file.endswith(code) and text.count("\n") > LONGEST] == []


def test_every_module_and_room_says_what_it_is_for() -> None:
    silent = [
        file
        for file, tree in modules()
        if room(file) not in ("tests", "bench") and tree.body and ast.get_docstring(tree) is None
    ]
    assert silent == []


def _everything(node: ast.expr | None) -> bool:
    """An except clause (or suppress) that takes every exception."""
    names = (
        []
        if node is None
        else [ast.unparse(part) for part in (node.elts if isinstance(node, ast.Tuple) else [node])]
    )
    return node is None or bool({"Exception", "BaseException"} & set(names))


def test_no_error_is_swallowed_unseen() -> None:
    wrong = []
    for file, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and _everything(node.type):
                empty = all(
                    isinstance(line, ast.Pass | ast.Continue)
                    or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
                    for line in node.body
                )
                if empty:
                    wrong.append(f"{file}:{node.lineno} takes every error and does nothing")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress"):
                wrong += [
                    f"{file}:{node.lineno} suppresses every error" for word in node.args if _everything(word)
                ]
    assert wrong == []


def _after_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def test_nothing_is_left_to_be_written() -> None:
    """NotImplementedError stands only as the whole body of a method that others override."""
    wrong = []
    for file, tree in modules():
        abstract = {
            id(body[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and len(body := _after_docstring(node)) == 1
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None and id(node) not in abstract:
                raised = ast.unparse(node.exc).split("(")[0]
                if raised == "NotImplementedError":
                    wrong.append(f"{file}:{node.lineno}")
    assert wrong == []


def test_no_check_and_no_test_is_switched_off() -> None:
    """A check that cannot run is *not covered*, and fixtures/plugin.py alone says so.

    Of the examples of authors' mistakes, which pytest does not collect, a test sees that Assay refuses them.
    """
    wrong = []
    for file, tree in modules():
        if file == "fixtures/plugin.py":
            continue
        if file.startswith("tests/fixtures/mistakes/") and "/test_" not in file:
            continue
        for node in ast.walk(tree):
            off = isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "pytest.mark.skip",
                "pytest.mark.skipif",
                "pytest.mark.xfail",
                "pytest.mark.flaky",
            )
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "pytest.skip",
                "pytest.xfail",
                "pytest.importorskip",
            )
            if off or called:
                wrong.append(f"{file}:{getattr(node, 'lineno', 0)}")
    assert wrong == []


def test_programs_are_executable_and_their_shell_is_strict() -> None:
    for file in ("assay", ".ci/run", "locks/update"):
        assert os.access(ROOT / file, os.X_OK), file
    scripts = [(file, text) for file, text in texts() if re.match(r"#!.*\b(ba)?sh\b", text)]
    assert scripts
    assert [file for file, text in scripts if "set -eu" not in text] == []


def test_what_is_made_here_is_not_kept() -> None:
    assert [
        name(path) for path in files() if {".assay", "node_modules", "runs"} & set(name(path).split("/"))
    ] == []


def test_ci_runs_the_readme_s_own_command() -> None:
    assert (ROOT / ".ci" / "run").read_text().strip().endswith("./assay test")
    assert "./assay test" in (ROOT / "README.md").read_text()


def test_what_holds_a_teams_secrets_is_never_committed() -> None:
    """`.env`, and the description of a live target at the checkout's root."""
    ignored = {line.strip() for line in (ROOT / ".gitignore").read_text().splitlines()}
    assert {".env", "/target.toml"} <= ignored
    assert [file for file, _ in texts() if file.rpartition("/")[2] == ".env"] == []
