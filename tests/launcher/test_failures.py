"""What goes wrong during a setup is one clear sentence, exit 2 or 3, and the next run finishes the work."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.conftest import Checkout, add_uv, make, pin, wheel


@pytest.mark.parametrize(
    "text",
    [
        "",
        "assay-tiny\n",
        "assay-tiny==1.0\n",
        "assay-tiny>=1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "assay-tiny==1.0 \\\n    --hash=sha256:1234\n",
        "assay-tiny==1.0 \\\n    --hash=md5:" + "0" * 32 + "\n",
        "assay-tiny==1.0 \\\n",
        "<<<<<<< HEAD\nassay-tiny==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "--index-url https://example.invalid/simple\n",
        "git+https://example.invalid/x.git\n",
        "\x00\x01\x02",
    ],
)
def test_a_damaged_lock_is_named_before_anything_is_done(checkout: Checkout, text: str) -> None:
    checkout.lock.write_text(text)
    done = checkout.run()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "locks/assay.txt is damaged" in done.stderr
    assert "git checkout" in done.stderr
    assert not checkout.venv.exists()


def test_a_lock_that_is_not_text_or_missing(checkout: Checkout) -> None:
    checkout.lock.write_bytes(b"\xff\xfe\x00")
    assert "damaged" in checkout.refused()
    checkout.lock.unlink()
    assert "locks/assay.txt is missing" in checkout.refused()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_hash_that_does_not_match_installs_nothing(checkout: Checkout, installer: str) -> None:
    if installer == "uv":
        add_uv(checkout)
    good = checkout.lock.read_text()
    checkout.lock.write_text(good.replace(good.split("sha256:")[1][:8], "deadbeef", 1))
    assert "does not have the hash that locks/assay.txt records" in checkout.refused()
    assert not (checkout.packages / "assay_tiny").exists()
    checkout.lock.write_text(good)
    assert checkout.good()["tiny"] == "1.0"


def test_no_pip_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "pip.py").write_text("raise ImportError('as on a Debian without python3-pip')\n")
    sentence = checkout.refused(env=checkout.env | {"PYTHONPATH": str(tmp_path / "hidden")})
    assert "has no pip" in sentence
    assert "python3-pip" in sentence
    assert checkout.good()["tiny"] == "1.0"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("retries", ["0", "1"])
def test_an_index_out_of_reach_is_named_without_its_password(checkout: Checkout, retries: str) -> None:
    env = {name: value for name, value in checkout.env.items() if not name.startswith("PIP_NO")}
    env |= {
        "PIP_INDEX_URL": f"http://someone:hunter2@127.0.0.1:{_free_port()}/simple",
        "PIP_RETRIES": retries,
    }
    env["PIP_FIND_LINKS"] = str(checkout.home)
    done = checkout.run(env=env)
    assert done.returncode == 3
    assert "index could not be reached" in done.stderr.splitlines()[-1]
    logs = "".join(path.read_text() for path in (checkout.root / ".assay" / "logs").iterdir())
    assert "hunter2" not in done.stderr + logs
    assert "127.0.0.1" in logs


def test_uv_gives_way_to_pip_where_it_cannot_do_it(checkout: Checkout) -> None:
    sha = wheel(
        checkout.wheels, "uv", "0.1", {"__init__.py": ""}, {"uv": "#!/bin/sh\n[ $1 = --version ] || exit 9\n"}
    )
    checkout.lock.write_text(checkout.lock.read_text() + pin("uv", "0.1", sha))
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "pip tries" in done.stderr


def test_a_file_limit_reads_as_a_full_disk_and_space_heals_it(checkout: Checkout) -> None:
    big = wheel(checkout.wheels, "assay_big", "1.0", {"__init__.py": "", "data.txt": "x" * 4_000_000})
    checkout.lock.write_text(checkout.lock.read_text() + pin("assay-big", "1.0", big))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    assert "The disk is full" in checkout.refused(preexec_fn=limited)
    assert checkout.good()["tiny"] == "1.0"
    assert (checkout.packages / "assay_big" / "data.txt").stat().st_size == 4_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 3 MB; None where this process may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, timeout=30, check=False
    ).returncode == 0 if shutil.which("mount") and os.geteuid() == 0 else False  # fmt: skip
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", place], check=True, timeout=30)


def test_a_full_disk_is_one_sentence_whatever_is_written(checkout: Checkout, small_disk: Path | None) -> None:
    big = wheel(checkout.wheels, "assay_big", "1.0", {"__init__.py": "", "data.txt": "x" * 4_000_000})
    checkout.lock.write_text(checkout.lock.read_text() + pin("assay-big", "1.0", big))
    if small_disk is None:
        # An ordinary user mounts nothing: the kernel's always-full device takes the log's place.
        (checkout.root / ".assay" / "logs").mkdir(parents=True)
        (checkout.root / ".assay" / "logs" / "pip-venv.log").symlink_to("/dev/full")
        checkout.good()  # a log that cannot be written stops nothing
        return
    shutil.copytree(checkout.root, small_disk / "clone")
    small = Checkout(small_disk / "clone", checkout.wheels, checkout.home, checkout.env)
    sentence = small.refused()
    assert "The disk is full" in sentence
    (small_disk / "filler").write_bytes(b"")
    try:
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
    except OSError:
        assert "The disk is full" in small.refused()  # now not even a stamp fits
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True, timeout=30)
    assert small.good()["tiny"] == "1.0"


def test_a_checkout_of_another_user_is_one_sentence() -> None:
    with tempfile.TemporaryDirectory(prefix="assay-test-") as folder:
        Path(folder).chmod(0o755)
        other = make(Path(folder))
        root = os.geteuid() == 0
        if not root:
            other.root.chmod(0o555)
        identity = {"user": 65534, "group": 65534, "extra_groups": []} if root else {}
        env = other.env | {"HOME": ""}
        try:
            python = _world_python()
            done = subprocess.run(
                [python, str(other.root / "assay"), "test"], env=env, cwd="/", capture_output=True, text=True, timeout=60,
                **identity,  # type: ignore[call-overload]
            )  # fmt: skip
        finally:
            other.root.chmod(0o755)
        assert done.returncode == 2, done.stderr
        assert "No permission to write" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def _world_python() -> str:
    """A Python that another user can start too."""
    for place in ("/usr/bin/python3", "/usr/local/bin/python3"):
        path = Path(place)
        if path.exists():
            said = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info >= (3, 11))"],
                capture_output=True,
                text=True,
                timeout=60,
            )
            if said.stdout.strip() == "True":
                return place
    return shutil.which("python3") or "python3"


def test_a_missing_cli_is_one_sentence(checkout: Checkout) -> None:
    (checkout.root / "cli.py").unlink()
    assert "cli.py is missing" in checkout.refused()
