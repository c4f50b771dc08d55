"""What the launcher reads: lock files, pip's settings, and what installers say when they fail."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

from launcher import locks, pipconfig
from launcher.command import explain
from launcher.console import BROKEN, USAGE, SetupError, from_os, redact

ROOT = Path(__file__).resolve().parents[2]


def test_the_project_s_own_locks_are_read() -> None:
    pins = locks.python_pins(ROOT / "locks" / "assay.txt")
    assert pins["pytest"].startswith("pytest==9.1.1")
    assert "uv" in pins
    assert "miniflare" in {
        place.rpartition("/")[2] for place in locks.npm_packages(ROOT / "package-lock.json")
    }
    assert locks.npm_packages(ROOT / "locks" / "browser" / "package-lock.json")


def test_two_entries_of_one_package_are_both_kept(tmp_path: Path) -> None:
    one, two = "a" * 64, "b" * 64
    lock = tmp_path / "lock.txt"
    lock.write_text(
        f"Some_Thing==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:{one}\n"
        f"some.thing==2.0 ; python_full_version >= '3.12' \\\n    --hash=sha256:{two}\n# a note\n\n"
    )
    pins = locks.python_pins(lock)
    assert list(pins) == ["some-thing"]
    assert one in pins["some-thing"]
    assert two in pins["some-thing"]


def test_pip_s_settings_in_uv_s_words() -> None:
    listing = (
        ":env:.default-timeout='180'\n"
        "global.cert='/etc/ssl/ca.crt'\n"
        "global.extra-index-url='file:///a/simple\\nfile:///b/simple'\n"
        "global.find-links='/opt/wheels'\n"
        "global.index-url='https://u:p@example.invalid/simple'\n"
        "install.index-url='https://example.invalid/other'\n"
        "download.index-url='https://example.invalid/not-for-install'\n"
    )
    assert pipconfig.for_uv(listing, {"UV_INDEX": "mine"}) == {
        "UV_HTTP_TIMEOUT": "180",
        "SSL_CERT_FILE": "/etc/ssl/ca.crt",
        "UV_FIND_LINKS": "/opt/wheels",
        "UV_DEFAULT_INDEX": "https://example.invalid/other",
    }
    assert pipconfig.for_uv(listing, {})["UV_INDEX"] == "file:///a/simple file:///b/simple"  # type: ignore[index]


@pytest.mark.parametrize(
    "setting",
    [
        "global.keyring-provider='subprocess'", "install.constraint='c.txt'", "global.find-links='relative'",
        "global.unreadable='1'",
    ],
)  # fmt: skip
def test_a_pip_setting_that_uv_has_not_leaves_the_work_to_pip(setting: str) -> None:
    assert pipconfig.for_uv(setting, {}) is None


@pytest.mark.parametrize(
    ("output", "says", "code"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full", USAGE),
        ("npm error code ENOSPC", "disk is full", USAGE),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "does not have the hash", USAGE),
        ("  \u00d7 Hash mismatch for `x==1`", "does not have the hash", USAGE),
        ("npm error code EINTEGRITY", "does not have the hash", USAGE),
        ("npm error code EACCES", "not allowed to write", USAGE),
        ("npm error code EAI_AGAIN", "could not be reached", BROKEN),
        ("error: error sending request for url", "could not be reached", BROKEN),
        ("ERROR: No matching distribution found for x==1", "x==1", BROKEN),
        ("Collecting x\nERROR: something new\nat line 3", "ERROR: something new", BROKEN),
        ("", "said nothing", BROKEN),
    ],
)  # fmt: skip
def test_what_installers_say_becomes_one_sentence(output: str, says: str, code: int) -> None:
    error = explain(output, 1, "Installing x", "locks/x.txt", Path("x.log"))
    assert says in str(error)
    assert "x.log" in str(error)
    assert "\n" not in str(error)
    assert error.code == code
    assert "took too long" in str(explain("", None, "Installing x", "locks/x.txt", Path("x.log")))


def test_credentials_are_taken_out() -> None:
    assert redact("at https://me:secret@example.invalid/x") == "at https://***@example.invalid/x"
    assert redact("//example.invalid/:_authToken=abc") == "//example.invalid/:_authToken=***"
    assert "secret" not in str(SetupError("https://me:secret@example.invalid/"))


@pytest.mark.parametrize(
    ("number", "says", "code"),
    [
        (errno.ENOSPC, "disk is full", USAGE),
        (errno.EROFS, "No permission", USAGE),
        (errno.EIO, "mend that", BROKEN),
    ],
)
def test_our_own_system_errors(number: int, says: str, code: int) -> None:
    error = from_os(OSError(number, "words", "/some/file"), "testing")
    assert says in str(error)
    assert "/some/file" in str(error)
    assert error.code == code


def test_the_script_can_be_read_by_an_old_python_which_is_told_so() -> None:
    script = (ROOT / "assay").read_text()
    ast.parse(script, feature_version=(3, 4))
    assert script.index("sys.version_info < (3, 11)") < script.index("from launcher")
