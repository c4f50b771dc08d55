"""One load from several hosts that share a folder; the first leads it, each other joins it there.

    assay load mixed --users 4000 --workers 8 --hosts FOLDER           on the first: leads eight workers, generates nothing
    python -m loadprofiles.setup.hosts FOLDER --leader HOST --workers 4      on each other: four of them

The leader puts what a process must know to join the run (the same private file as on one machine: mode 0600, secrets in
it, removed at the end) into the folder; Locust's own sockets, ports 5557 and 5558 of the leader, do the rest. Each host
keeps its journal on its own disk while it measures, and puts it into the folder at the end, whole or not at all; the
leader takes it into the run. What does not come is missing, and a run that misses samples is broken, never met.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import AssayError, BrokenError, ConfigError
from core.run import ROOT, Run
from core.user_settings import for_child
from loadprofiles.setup.locust_process import run_locust

OFFER = "load.json"
PORT, LIFELINE = 5557, 5558
JOINING = 300.0
"""Seconds in which all workers must be there, and in which a host waits for a load to join."""
BRINGING = 120.0
"""Seconds that hosts have to bring their journals after the load."""
_PAUSE = 0.2


def leading(workers: int) -> list[str]:
    """Locust's words for the leader. Raises ConfigError where nobody would generate anything."""
    if workers < 1:
        raise ConfigError("--hosts needs --workers: how many there are on all hosts together.")
    words = ["--master", "--master-bind-host", "0.0.0.0", "--master-bind-port", str(PORT)]  # noqa: S104 (hosts must reach it)
    words += ["--assay-lifeline-port", str(LIFELINE)]
    return [*words, "--expect-workers", str(workers), "--expect-workers-max-wait", f"{JOINING:g}"]


@contextmanager
def offered(folder: Path, door: Path, locustfile: str) -> Iterator[None]:
    """Offers the run that this file is the door to, for as long as the block runs. Raises ConfigError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    offer = folder / OFFER
    if offer.exists():
        raise ConfigError(
            f"{offer} offers another load; name a folder of its own, or remove what a dead one left."
        )
    shutil.rmtree(folder / "hosts", ignore_errors=True)
    text = json.dumps({"locustfile": locustfile, "run": json.loads(door.read_text(encoding="utf-8"))})
    new = folder / f".{OFFER}"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.rename(offer)
    try:
        yield
    finally:
        offer.unlink(missing_ok=True)


def collect(folder: Path, run: Run, within: float) -> list[str]:
    """Takes what the hosts bring into the run's journal; returns those that did not come within these seconds."""
    until, hosts = time.monotonic() + within, folder / "hosts"
    joined = sorted(hosts.iterdir()) if hosts.is_dir() else []
    while missing := [host.name for host in joined if not (host / "journal").is_dir()]:
        if time.monotonic() > until:
            break
        time.sleep(_PAUSE)
    for host in joined:
        for path in sorted((host / "journal").glob("*")):
            shutil.copyfile(path, run.directory / "journal" / f"{path.stem}-{host.name}{path.suffix}")
    return missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Joins the load of a folder as one of its hosts; the exit code of what ran here."""
    parser = argparse.ArgumentParser(
        "loadprofiles.setup.hosts", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--leader", required=True, help="the leader's address")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="generating processes here")
    options = parser.parse_args(arguments)
    try:
        return _join(options.folder, options.leader, options.workers)
    except ConfigError as error:
        print(f"assay load: {error}", file=sys.stderr)
        return 2
    except (AssayError, OSError) as error:
        print(f"assay load: {error}", file=sys.stderr)
        return 3


def _join(folder: Path, leader: str, workers: int) -> int:
    offer = _offer(folder)
    here = folder / "hosts" / f"{platform.node()}-{os.getpid()}"
    here.mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        offer["locustfile"],
        "--worker",
        "--processes",
        str(workers),
    ]
    command += ["--master-host", leader, "--master-port", str(PORT), "--loglevel", "WARNING"]
    with tempfile.TemporaryDirectory(prefix="assay-load-") as own:
        with Run.elsewhere(json.dumps(offer["run"]).encode(), Path(own)) as (joining, redactor):
            code = run_locust(command, for_child({**joining, "PYTHONPATH": str(ROOT)}), redactor)
        bringing = here / ".journal"
        shutil.copytree(Path(own) / "journal", bringing)
        bringing.rename(here / "journal")
    return code


def _offer(folder: Path) -> dict[str, Any]:
    until = time.monotonic() + JOINING
    while True:
        try:
            found: dict[str, Any] = json.loads((folder / OFFER).read_text(encoding="utf-8"))
            return found
        except FileNotFoundError:
            if time.monotonic() > until:
                raise BrokenError(f"no load was offered in {folder} within {JOINING:g} s.") from None
            time.sleep(_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
