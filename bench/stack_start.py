"""How long the embedded target takes to start and to end, and where the time goes.

python bench/stack_start.py [ROUNDS]     wall and CPU seconds; the first round may be cold
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def below(root: int) -> list[int]:
    """`root` and every process below it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, queue = [root], [root]
    while queue:
        parent = queue.pop()
        queue += (children := [pid for pid, its in parents.items() if its == parent])
        found += children
    return found


def cpu_seconds(pids: list[int]) -> float:
    """What these processes and their ended children have used."""
    ticks = 0
    for pid in pids:
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(state: Path) -> None:
    """Start once, print, end."""
    began = time.monotonic()
    command = [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json", "--state", str(state)]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    if not holder.stdout.readline():
        sys.exit(holder.wait())
    ready = time.monotonic() - began
    supervisor = json.loads((state / "supervisor.json").read_text())["pid"]
    spent = cpu_seconds(below(supervisor))
    events = [json.loads(line) for line in (state / "events.jsonl").read_text().splitlines()]
    parts = [f"{e['component']} {e['seconds']}" for e in events if e["type"] == "component.ready"]
    began = time.monotonic()
    holder.stdin.close()
    holder.wait()
    print(
        f"ready {ready:.1f} s (CPU {spent:.1f} s; {', '.join(parts)}), ended {time.monotonic() - began:.1f} s, "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
            measure(Path(folder) / "state")
