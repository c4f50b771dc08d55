"""What the documents promise exists: commands, their options, and the files that they link to."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main

from tests.structure.tree import ROOT, texts

DOCUMENTS = [(file, text) for file, text in texts() if file.endswith(".md")]
COMMAND = re.compile(r"(?<![\w/])\./assay ([^\n`#|&;)]*)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")
LAUNCHERS_OWN = {"setup": {"--again", "--help"}}


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    """Command -> its options, as `./assay` has them."""
    from cli import app

    group: Any = typer.main.get_command(app)  # typer carries a click of its own
    found = {
        name: {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
        | {"--help"}
        for name, command in group.commands.items()
    }
    return found | LAUNCHERS_OWN


def test_the_readme_s_two_commands_are_there(commands: dict[str, set[str]]) -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("validate", "test"):
        assert f"./assay {command}" in readme
        assert command in commands
    assert readme.count("\n") <= 60, "the README is one screen"


@pytest.mark.parametrize(("file", "text"), DOCUMENTS, ids=[file for file, _ in DOCUMENTS])
def test_documented_commands_and_options_exist(file: str, text: str, commands: dict[str, set[str]]) -> None:
    wrong = []
    for found in COMMAND.finditer(text):
        line = found.group(1).replace("…", "").strip().rstrip(".,:")
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
        if not words or words[0].startswith(("-", "<", "[")) or not re.fullmatch(r"[a-z-]+", words[0]):
            continue
        if words[0] not in commands:
            wrong.append(f"./assay {line}: no such command")
            continue
        options = {word.split("=")[0] for word in words[1:] if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)}
        wrong += [f"./assay {line}: no option {option}" for option in sorted(options - commands[words[0]])]
    assert wrong == []


@pytest.mark.parametrize(("file", "text"), DOCUMENTS, ids=[file for file, _ in DOCUMENTS])
def test_documents_link_to_files_that_exist(file: str, text: str) -> None:
    folder = (ROOT / file).parent
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    assert [target for target in targets if not (folder / target).exists()] == []
