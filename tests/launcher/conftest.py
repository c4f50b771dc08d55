"""A tiny checkout: the real launcher, a lock of one small package, an index of wheels made here. No network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = getattr(sys, "_base_executable", sys.executable)
"""A Python with pip, as on a machine where the project was just cloned."""

CLI = """
import json, os, sys
try:
    import assay_tiny
    tiny = assay_tiny.VERSION
except ImportError:
    tiny = None
names = ("ASSAY_BROWSER", "HOME", "PATH", "VIRTUAL_ENV")
print(json.dumps({
    "argv": sys.argv[1:], "prefix": sys.prefix, "tiny": tiny, "cwd": os.getcwd(),
    "env": {name: os.environ.get(name) for name in names},
    "dont_write": sys.dont_write_bytecode, "pycache": sys.pycache_prefix,
}))
sys.exit(int(sys.argv[2]) if sys.argv[1:2] == ["exit"] else 0)
"""


def wheel(
    folder: Path, name: str, version: str, files: dict[str, str], scripts: dict[str, str] | None = None
) -> str:
    """Make a wheel and return its SHA-256."""
    entries = {f"{name}/{place}": text for place, text in files.items()}
    entries |= {f"{name}-{version}.data/scripts/{place}": text for place, text in (scripts or {}).items()}
    info = f"{name}-{version}.dist-info"
    entries[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    entries[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    rows = []
    for place, text in entries.items():
        sum_ = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{place},sha256={sum_},{len(text.encode())}")
    entries[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in entries.items():
            entry = zipfile.ZipInfo(place, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if "/scripts/" in place or "/bin/" in place else 0o100644) << 16
            archive.writestr(entry, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pin(name: str, version: str, sha256: str) -> str:
    return f"{name}=={version} \\\n    --hash=sha256:{sha256}\n"


@dataclass
class Checkout:
    """A tiny clone, and how to run its launcher."""

    root: Path
    wheels: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        return self.root / "locks" / "assay.txt"

    @property
    def venv(self) -> Path:
        return self.root / ".assay" / "venv"

    @property
    def packages(self) -> Path:
        return next((self.venv / "lib").glob("python3*/site-packages"))

    def argv(self, *arguments: str) -> list[str]:
        """The command line; without words a command that needs everything."""
        return [BASE, str(self.root / "assay"), *(arguments or ("test",))]

    def run(
        self, *arguments: str, env: dict[str, str] | None = None, **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run `./assay ARGUMENTS` with this environment alone."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            self.argv(*arguments), env=self.env if env is None else env, text=True, capture_output=True,
            timeout=300, cwd=self.root.parent, stdin=subprocess.DEVNULL, **more,  # type: ignore[call-overload]
        )  # fmt: skip
        return done

    def good(self, *arguments: str, env: dict[str, str] | None = None) -> dict[str, object]:
        """Run it, see that it ended well, and return what cli.py printed."""
        done = self.run(*arguments, env=env)
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    def refused(
        self, *arguments: str, code: int = 2, env: dict[str, str] | None = None, **more: object
    ) -> str:
        """Run it, see one clear last sentence and the exit code, and return that sentence."""
        done = self.run(*arguments, env=env, **more)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("assay: ")
        assert last.endswith((".", ")."))
        return last


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A tiny clone with nothing installed; pip alone installs (its lock holds no uv)."""
    return make(tmp_path)


def make(place: Path) -> Checkout:
    root = place / "clone"
    (root / "locks").mkdir(parents=True)
    shutil.copy(ROOT / "assay", root / "assay")
    shutil.copytree(ROOT / "launcher", root / "launcher", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "cli.py").write_text(CLI)
    wheels, home = place / "wheels", place / "home"
    home.mkdir()
    sha = wheel(wheels, "assay_tiny", "1.0", {"__init__.py": "VERSION = '1.0'\n"})
    made = Checkout(root, wheels, home)
    made.lock.write_text(pin("assay-tiny", "1.0", sha))
    made.env = {
        "PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "ASSAY_NO_APT": "1", "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1",
    }  # fmt: skip
    return made


def add_uv(checkout: Checkout) -> None:
    """Put uv into the lock: a wheel whose program is the uv of this environment."""
    real = Path(sys.prefix) / "bin" / "uv"
    sha = wheel(checkout.wheels, "uv", "0.1", {"__init__.py": ""}, {"uv": f'#!/bin/sh\nexec "{real}" "$@"\n'})
    checkout.lock.write_text(checkout.lock.read_text() + pin("uv", "0.1", sha))
