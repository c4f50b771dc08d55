"""Where `assay init` finds a platform's variables, the environment always first."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError
from runner import given_variables as given
from runner.given_variables import given_variables

STATUS = """API_URL="http://127.0.0.1:54321"
DB_URL="postgresql://postgres:postgres@127.0.0.1:54322/postgres"
ANON_KEY="an-anon-key"
SERVICE_ROLE_KEY="a-service-key"
INBUCKET_URL="http://127.0.0.1:54324"
"""
NAMES = {"API_URL", "DB_URL", "ANON_KEY", "SERVICE_ROLE_KEY", "INBUCKET_URL"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(given, "for_child", lambda more: {"DB_URL": "postgresql://mine@127.0.0.1/x"})
    (tmp_path / "team").mkdir()
    return tmp_path / "team" / "assay"


def _right(found: given.Given) -> None:
    assert found.variables.keys() >= NAMES
    assert found.variables["ANON_KEY"] == "an-anon-key"
    assert found.variables["DB_URL"] == "postgresql://mine@127.0.0.1/x", "the environment wins"


def test_by_a_pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(STATUS))
    found = given_variables(folder, "-")
    _right(found)
    assert (found.env_file, str(folder / ".env") in found.to_keep) == (".env", True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("supabase is not running"))
    with pytest.raises(ConfigError, match="standard input:1: this line is no NAME=value"):
        given_variables(folder, "-")


def test_from_a_named_file(folder: Path) -> None:
    (folder.parent / "local.env").write_text(STATUS)
    found = given_variables(folder, str(folder.parent / "local.env"))
    _right(found)
    assert (found.env_file, found.to_keep) == ("../local.env", "")
    with pytest.raises(ConfigError, match="is no file"):
        given_variables(folder, str(folder / "nowhere.env"))


def test_from_the_cli_where_it_and_its_stack_are_there(folder: Path) -> None:
    command = folder.parent / "node_modules" / ".bin" / "supabase"
    command.parent.mkdir(parents=True)
    command.write_text(
        '#!/bin/sh\n[ "$*" = "status -o env" ] || exit 9\necho "Stopped services: []" >&2\ncat here.txt\n'
    )
    command.chmod(0o755)
    assert not given_variables(folder).variables.keys() & {"ANON_KEY"}, "no supabase/config.toml"
    (folder.parent / "supabase").mkdir()
    (folder.parent / "supabase" / "config.toml").write_text("")
    assert "ANON_KEY" not in given_variables(folder).variables, "its stack is not up"
    (folder.parent / "here.txt").write_text(STATUS)
    found = given_variables(folder)
    _right(found)
    assert "`supabase status -o env`" in found.to_keep
    (folder.parent / ".env").write_text("VITE_SUPABASE_URL=https://abc.supabase.co\n")
    assert "ANON_KEY" not in given_variables(folder).variables, "an .env comes first"
