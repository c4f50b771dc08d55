"""What this machine can send: the generator itself, measured for seconds against a server of its own on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import BrokenError
from core.run import ROOT

USERS = 64
"""Connections on which requests follow each other."""
WARMING, MEASURED = 4.0, 6.0
"""Seconds until all of them ask, and in which it is measured."""
RESERVE = 0.4
"""Share of a core that stays free: a generator that is busier sends late, and measures itself."""
SOCKETS = 10_000
"""WebSockets that one process was seen to hold, with 28 kB and 0.0014 % of a core each (bench/load_sockets.py)."""
_ROW = json.dumps([{"id": number, "title": "x" * 40} for number in range(16)]).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ROW),
    _ROW,
)


@dataclass(frozen=True)
class Capacity:
    """What was measured, and what follows."""

    cores: int
    core_sends: float
    """Requests a second and CPU-second of the generator: about 1 kB of JSON each, parsed and checked."""
    machine_sends: float
    """Requests a second of all cores with their reserve, one worker a core."""
    machine_holds: int
    """WebSockets, one worker a core."""


class _Answers(asyncio.Protocol):
    """Answers every request at once with the same."""

    served = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """As many answers as requests end in it; the generator never splits one."""
        asked = data.count(b"\r\n\r\n")
        _Answers.served += asked
        self._transport.write(_ANSWER * asked)  # type: ignore[attr-defined]


def measure() -> Capacity:
    """Ten seconds of load on one core. Raises BrokenError where the generator does not run."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(_Answers, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(ROOT / "loadprofiles/setup/calibration.py"),
        "--headless",
    ]
    command += ["--host", f"http://127.0.0.1:{port}", "-u", str(USERS), "-r", str(USERS), "--only-summary"]
    load = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not _Answers.served and load.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(WARMING)
        served, cpu = _Answers.served, _cpu_seconds(load.pid)
        time.sleep(MEASURED)
        served, cpu = _Answers.served - served, _cpu_seconds(load.pid) - cpu
    except OSError:
        served, cpu = 0, 0.0
    finally:
        load.terminate()
        load.wait(30)
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
    if not served or cpu <= 0:
        raise BrokenError("the load generator sent nothing; `./assay test` says what is wrong with it.")
    cores = len(os.sched_getaffinity(0))
    sends = served / cpu
    return Capacity(cores, sends, sends * cores * (1 - RESERVE), SOCKETS * cores)


def tell(*, as_json: bool) -> int:
    """Measures and prints; 0."""
    found = measure()
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    print(f"one core sends   {found.core_sends:,.0f} requests a second (1 kB of JSON, parsed and checked)")
    print(
        f"{found.cores} cores          {found.machine_sends:,.0f} requests a second with `--workers {found.cores}`,"
    )
    print(f"                 {RESERVE:.0%} of each core kept free")
    print(f"                 and {found.machine_holds:,} WebSockets; docs/scale.md counts with both")
    return 0


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process and its threads so far. Raises OSError when it is gone."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
