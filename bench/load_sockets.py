"""WebSocket round trips per CPU-second under Locust, against k6 and websocket-client; and 10,000 sockets held.

    python bench/load_sockets.py [--connections 64,1000] [--rounds 8] [--held 10000] [--seconds 30]

Round trips are counted by the echo server, CPU is that of the tool's whole process tree; all tools are started
and connected, then run in turn for half a second at a time (`load_turns.py`). All record the time of every round trip
and check that what came is what was sent, but those with `-bare`, which only send the next message; `k6` does so by its
`check`, as in the HTTP bench, and `k6-lean` by a bare comparison. `picows` and
`websockets` are the engines that we might have used instead, on uvloop in a native thread of the same Locust; `floor` is
epoll, read and write alone (`load_sockets_floor.py`): no tool can be cheaper than the kernel. The holding run sends a
message each 10 s on every socket and prints what the generator itself reports: the lag of its sends, its CPU and its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import HERE, ROOT, NotInstalled, k6, locust
from bench.load_turns import Contestant, compare, favoured, pin, table

TOOLS = (
    "assay",
    "assay-bare",
    "k6",
    "k6-lean",
    "k6-bare",
    "websocket-client",
    "picows",
    "websockets",
    "floor",
)
_K6 = """
import ws from 'k6/ws'; import {Trend, Counter} from 'k6/metrics'; import {check} from 'k6';
export const options={vus:SOCKETS,duration:'900s'};
const m='x'.repeat(128), rtt=new Trend('rtt',true), wrong=new Counter('wrong');
export default function(){ws.connect('ADDRESS',null,function(s){let t=Date.now();
 s.on('open',()=>s.send(m)); s.on('message',(d)=>{WORK s.send(m);});});}
"""
_K6_WORK = {
    "k6": "const n=Date.now();rtt.add(n-t);check(d,{right:(d)=>d===m});t=n;",
    "k6-lean": "const n=Date.now();rtt.add(n-t);if(d!==m)wrong.add(1);t=n;",
    "k6-bare": "",
}


def command_of(tool: str, port: int, connections: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    """How a tool is started, saturating `connections` sockets with round trips."""
    address = f"ws://127.0.0.1:{port}/"
    environment = {"BENCH_WS": address, "BENCH_KIND": tool, "PYTHONPATH": str(ROOT)}
    if tool in ("assay", "assay-bare"):
        return locust("load_sockets_user.py", connections, 900), environment
    if tool == "websocket-client":
        return locust("load_sockets_stock.py", connections, 900), environment
    if tool in ("picows", "websockets"):
        return locust("load_sockets_thread.py", connections, 900), environment
    if tool == "floor":
        return [sys.executable, str(HERE / "load_sockets_floor.py"), address, str(connections)], environment
    script = folder / f"{tool}.js"
    text = _K6.replace("SOCKETS", str(connections)).replace("ADDRESS", address)
    script.write_text(text.replace("WORK", _K6_WORK[tool]))
    return ["env", "GOMAXPROCS=1", k6(), "run", "--quiet", "--no-usage-report", str(script)], environment


def asked(port: int, what: str) -> int:
    """A number that the server knows: `count` of messages sent back, `sockets` that are open."""
    with connect(f"ws://127.0.0.1:{port}/", compression=None) as socket:
        socket.send(what)
        return int(socket.recv())


def echoed(port: int) -> int:
    """Messages that the server has sent back so far."""
    return asked(port, "count")


def connected(port: int) -> int:
    """Sockets open at the server."""
    return asked(port, "sockets")


def more_files() -> None:
    """As many open files as this user may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def hold(port: int, sockets: int, seconds: int) -> None:
    """Holds so many sockets in one process and prints what it reports of itself."""
    with tempfile.TemporaryDirectory() as name:
        spawn = sockets / 500
        command = locust("load_sockets_user.py", sockets, int(seconds + spawn + 10))
        command[command.index("-r") + 1] = "500"
        environment = os.environ | {
            "BENCH_WS": f"ws://127.0.0.1:{port}/",
            "BENCH_PERIOD": "10",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [*pin(0), *command, "--assay-run-dir", name, "--assay-warm-up", "10"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=favoured,
        )
        journal = next(Path(name, "journal").glob("*.jsonl")).read_text().splitlines()
    events = [json.loads(line) for line in journal]
    steady = next(e["steady_from"] for e in events if e["type"] == "load.steady")
    health = [e for e in events if e["type"] == "generator.health" and e["start"] > steady]
    series = next(e for e in events if e["type"] == "load.finished")["series"][0]
    lag, service = series["percentiles"]["lag"], series["percentiles"]["service"]
    print(f"\n{sockets} sockets, a message each 10 s, one process (exit {done.returncode})")
    print(f"  messages        {series['counts']['steady']}")
    print(f"  lag of sends    p50 {lag['50']:.2f}  p99 {lag['99']:.2f} ms")
    print(f"  echo (service)  p50 {service['50']:.2f}  p99 {service['99']:.2f} ms")
    print(f"  CPU             {statistics.median(h['cpu'] for h in health):.1%} of a core")
    print(
        f"  memory          {max(h['memory_mb'] for h in health):.0f} MB; files {max(h['files'] for h in health)}"
    )


def race(options: argparse.Namespace, connections: int, port: int) -> None:
    """All tools in turn on so many sockets; prints the table."""
    ready: list[Contestant] = []
    with tempfile.TemporaryDirectory() as name:
        try:
            for tool in options.tools.split(","):
                before = connected(port)
                try:
                    one = Contestant(tool, *command_of(tool, port, connections, Path(name)))
                except NotInstalled as error:
                    print(error, file=sys.stderr)
                    continue
                ready.append(one)
                if not one.start(lambda: connected(port) - before >= connections):  # noqa: B023 (called at once)
                    print(f"{tool} never held {connections} sockets", file=sys.stderr)
            compare(ready, lambda: echoed(port), options.rounds, options.window)
        finally:
            for one in ready:
                one.end()
    print(f"\n{connections} sockets, {options.rounds} turns each: round trips per CPU-second")
    checks = {tool: tool != "floor" and not tool.endswith("-bare") for tool in TOOLS}
    for reference in [one.name for one in ready if one.name.startswith("assay")]:
        print("\n".join(table(ready, reference, checks)), flush=True)


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", default="64,1000")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--window", type=float, default=0.5, help="seconds of one turn")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--held", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    if strangers := set(options.tools.split(",")) - set(TOOLS):
        parser.error(f"unknown tools: {', '.join(sorted(strangers))}; known are {', '.join(TOOLS)}")
    more_files()
    command = [*pin((os.cpu_count() or 1) - 1), sys.executable, str(HERE / "load_echo.py"), "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline().split()[1])
    try:
        for connections in map(int, filter(None, options.connections.split(","))):
            race(options, connections, port)
        if options.held:
            hold(port, options.held, options.seconds)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
