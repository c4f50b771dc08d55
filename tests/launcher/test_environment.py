"""The environment: made from nothing, left alone when warm, mended when damaged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.launcher.conftest import BASE, Checkout, add_uv, pin, wheel


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_first_run_makes_the_environment_and_hands_over(checkout: Checkout, installer: str) -> None:
    if installer == "uv":
        add_uv(checkout)
    done = checkout.run("check", "--plan", "smoke", env={**checkout.env, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)  # nothing but cli.py's own words on stdout
    assert answer["argv"] == ["check", "--plan", "smoke"]
    assert answer["tiny"] == "1.0"
    assert answer["prefix"] == str(checkout.venv)
    assert answer["cwd"] == str(checkout.root.parent), "paths on the command line are the caller's"
    assert answer["env"]["PATH"].startswith(f"{checkout.venv}/bin:")
    assert answer["env"]["VIRTUAL_ENV"] == str(checkout.venv)
    assert not answer["dont_write"]
    assert answer["pycache"] == str(checkout.root / ".assay" / "pycache"), (
        "bytecode is kept, and not beside the sources"
    )
    assert "Python packages" in done.stderr
    assert "uv could not do it" not in done.stderr
    assert (checkout.root / ".assay" / "logs" / "uv-venv.log").exists() == (installer == "uv")


def test_exit_code_is_cli_s_own(checkout: Checkout) -> None:
    assert checkout.run("exit", "1").returncode == 1
    assert checkout.run("exit", "3").returncode == 3


def test_warm_run_installs_nothing_and_says_nothing(checkout: Checkout) -> None:
    checkout.good()
    shutil.rmtree(checkout.wheels)  # an installer would fail now: this is also the offline case
    before = sorted(path.stat().st_mtime_ns for path in (checkout.root / ".assay").rglob("*"))
    done = checkout.run("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert before == sorted(path.stat().st_mtime_ns for path in (checkout.root / ".assay").rglob("*"))


def test_rooms_come_from_the_checkout_even_where_a_package_has_their_name(
    checkout: Checkout, tmp_path: Path
) -> None:
    sha = wheel(checkout.wheels, "core", "1.0", {"__init__.py": "WHOSE = 'a package'\n"})
    checkout.lock.write_text(checkout.lock.read_text() + pin("core", "1.0", sha))
    (checkout.root / "core").mkdir()
    (checkout.root / "core" / "__init__.py").write_text("WHOSE = 'the checkout'\n")
    checkout.good()
    import subprocess

    said = subprocess.run(
        [checkout.venv / "bin" / "python", "-c", "import core, json; print(core.WHOSE, json.__name__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout.split() == ["the", "checkout", "json"]


@pytest.mark.parametrize(
    ("installer", "damage"),
    [
        ("uv", "package"),
        ("pip", "package"),
        ("uv", "metadata"),
        ("pip", "metadata"),
        ("uv", "python"),
        ("uv", "dangling-python"),
        ("uv", "pyvenv.cfg"),
        ("pip", "site-packages"),
        ("uv", "everything"),
        ("uv", "stamp"),
        ("uv", "torn-stamp"),
    ],
)
def test_damage_is_noticed_and_mended(checkout: Checkout, installer: str, damage: str) -> None:
    if installer == "uv":
        add_uv(checkout)
    checkout.good()
    stamp = checkout.root / ".assay" / "stamps" / "python.json"
    if damage == "package":
        shutil.rmtree(checkout.packages / "assay_tiny")
    elif damage == "metadata":
        shutil.rmtree(next(checkout.packages.glob("assay_tiny-*.dist-info")))
    elif damage == "python":
        (checkout.venv / "bin" / "python").unlink()
    elif damage == "dangling-python":
        (checkout.venv / "bin" / "python").unlink()
        (checkout.venv / "bin" / "python").symlink_to("/nowhere/python3")
    elif damage == "pyvenv.cfg":
        (checkout.venv / "pyvenv.cfg").unlink()
    elif damage == "site-packages":
        shutil.rmtree(checkout.packages)
    elif damage == "everything":
        shutil.rmtree(checkout.venv)
        checkout.venv.write_text("a file in its place")
    elif damage == "stamp":
        stamp.unlink()
    else:
        stamp.write_bytes(stamp.read_bytes()[:40])
    answer = checkout.good("status")
    assert answer["tiny"] == "1.0"
    assert answer["prefix"] == str(checkout.venv)
    assert checkout.run("status").stderr == ""


def test_a_python_that_is_no_program_is_replaced(checkout: Checkout) -> None:
    checkout.good()
    python = checkout.venv / "bin" / "python"
    real = python.resolve()
    python.unlink()
    python.write_bytes(b"\x7fELF torn")
    python.chmod(0o755)
    assert checkout.good()["tiny"] == "1.0"
    assert python.resolve() == real


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_setup_finds_a_torn_file_that_a_warm_run_does_not_look_for(
    checkout: Checkout, installer: str
) -> None:
    if installer == "uv":
        add_uv(checkout)
    checkout.good()
    (checkout.packages / "assay_tiny" / "__init__.py").write_text("")
    done = checkout.run("setup")
    assert done.returncode == 0, done.stderr
    assert "mending 1 damaged" in done.stderr
    assert checkout.good()["tiny"] == "1.0"


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_changed_lock_updates_in_place_and_removes_what_it_no_longer_names(
    checkout: Checkout, installer: str
) -> None:
    if installer == "uv":
        add_uv(checkout)
    other = wheel(checkout.wheels, "assay_other", "1.0", {"__init__.py": ""})
    first = checkout.lock.read_text()
    checkout.lock.write_text(first + pin("assay-other", "1.0", other))
    checkout.good()
    kept = (checkout.venv / "pyvenv.cfg").stat().st_mtime_ns
    newer = wheel(checkout.wheels, "assay_tiny", "1.1", {"__init__.py": "VERSION = '1.1'\n"})
    checkout.lock.write_text(pin("assay-tiny", "1.1", newer) + "".join(first.partition("uv==")[1:]))
    assert checkout.good()["tiny"] == "1.1"
    assert not (checkout.packages / "assay_other").exists()
    assert (checkout.venv / "pyvenv.cfg").stat().st_mtime_ns == kept


def test_a_moved_checkout_gets_scripts_that_name_its_new_place(checkout: Checkout, tmp_path: Path) -> None:
    checkout.good()
    moved = Checkout(tmp_path / "elsewhere", checkout.wheels, checkout.home, checkout.env)
    checkout.root.rename(moved.root)
    answer = moved.good()
    assert answer["prefix"] == str(moved.venv)
    assert str(moved.root) in (moved.packages / "assay.pth").read_text()


def test_setup_again_makes_everything_anew(checkout: Checkout) -> None:
    checkout.good()
    (checkout.venv / "left-over").write_text("")
    done = checkout.run("setup", "--again")
    assert done.returncode == 0, done.stderr
    assert not (checkout.venv / "left-over").exists()
    assert "no option '--wrong'" in checkout.refused("setup", "--wrong")
    assert "usage: ./assay setup" in checkout.run("setup", "--help").stdout


@pytest.mark.parametrize("home", [None, "", "/nowhere/at/all", "relative"])
def test_without_a_usable_home_everything_stays_in_the_checkout(checkout: Checkout, home: str | None) -> None:
    env = {name: value for name, value in checkout.env.items() if name not in ("HOME", "PATH")}
    if home is not None:
        env["HOME"] = home
    answer = checkout.good(env=env)
    variables = answer["env"]
    assert isinstance(variables, dict)
    assert variables["HOME"] == str(checkout.root / ".assay" / "home")
    assert list(checkout.home.iterdir()) == []


def test_a_second_environment_appears_with_its_lock(checkout: Checkout) -> None:
    sha = wheel(checkout.wheels, "assay_engine", "2.0", {"__init__.py": ""})
    (checkout.root / "locks" / "bugsink.txt").write_text(pin("assay-engine", "2.0", sha))
    checkout.good()
    own = next((checkout.root / ".assay" / "bugsink-venv" / "lib").glob("python3*/site-packages"))
    assert (own / "assay_engine").is_dir()
    assert not (own / "assay_tiny").exists()
    assert not (checkout.packages / "assay_engine").exists()


def test_the_launcher_s_own_python_may_be_another_than_the_environment_s(checkout: Checkout) -> None:
    checkout.good()
    inside = checkout.venv / "bin" / "python"
    import subprocess

    done = subprocess.run(
        [inside, checkout.root / "assay", "status"],
        env=checkout.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(os.path.realpath(BASE)) == Path(os.path.realpath(inside))
