"""Requests per CPU-second of the generator, against the peers, interleaved on the same nginx.

    python bench/load_speed.py [--connections 64,1000] [--rounds 8] [--tls] [--tools assay,k6,wrk,…]

Counts requests at the server (nginx's stub_status) and CPU of the tool's whole process tree. All tools are
started and connected, then run in turn for half a second at a time (`load_turns.py`). Prints medians, the
spread (10th to 90th percentile), and what this engine is of each: the median of the ratios of neighbouring
turns, for `assay` (every answer checked) and for `assay-bare` (none). Needs nginx (Debian: nginx-light); with
two cores or more, nginx runs on the last one and the tools on the first.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import PEERS, NotInstalled
from bench.load_server import BODY
from bench.load_turns import Contestant, compare, table

LONGEST = 900  # seconds that a tool would go on; it is killed before
_CONF = """
daemon off; worker_processes 1; worker_cpu_affinity {mask}; pid {folder}/pid; error_log {folder}/error.log;
worker_rlimit_nofile 30000; events {{ worker_connections 12000; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type application/json;
 client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
 ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;
 server {{ listen 127.0.0.1:{port} backlog=8192; listen 127.0.0.1:{tls} ssl backlog=8192;
  location = /status {{ stub_status; }} location / {{ return 200 '{body}'; }} }} }}
"""


def certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1, its own authority."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem")]
    if which("openssl") is None:
        sys.exit("openssl is not here; install it (Debian: apt-get install openssl)")
    subprocess.run([*command, "-out", str(folder / "cert.pem")], check=True, capture_output=True)


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int]]:
    """A local nginx; its plain and TLS ports."""
    program = which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
    if program is None:
        sys.exit("nginx is not here; install it (Debian: apt-get install nginx-light)")
    from bench.load_truth import free_port

    certificate(folder)
    port, tls = free_port(), free_port()
    mask = "1".ljust(os.cpu_count() or 1, "0")
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, port=port, tls=tls, body=BODY.decode(), mask=mask))
    process = subprocess.Popen([program, "-c", str(conf), "-p", str(folder)])
    try:
        for _ in range(100):
            try:
                seen(port)
                break
            except OSError:
                time.sleep(0.05)
        yield port, tls
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def seen(port: int) -> tuple[int, int]:
    """(requests so far, connections now) at the server."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=30) as answer:
        lines = answer.read().decode().split("\n")
    return int(lines[2].split()[2]), int(lines[0].split(":")[1])


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", default="64,1000")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--window", type=float, default=0.5, help="seconds of one turn")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--tools", default=",".join(PEERS))
    options = parser.parse_args()
    if strangers := set(options.tools.split(",")) - set(PEERS):
        parser.error(f"unknown tools: {', '.join(sorted(strangers))}; known are {', '.join(PEERS)}")
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with nginx(folder) as (port, tls):
            url = f"https://127.0.0.1:{tls}/x" if options.tls else f"http://127.0.0.1:{port}/x"
            for connections in map(int, options.connections.split(",")):
                _compare(options, connections, url, port, folder)


def _compare(options: argparse.Namespace, connections: int, url: str, port: int, folder: Path) -> None:
    tools, ready = options.tools.split(","), []
    environment = {"BENCH_CA": str(folder / "cert.pem") if url.startswith("https") else ""}
    try:
        for tool in tools:
            before = seen(port)[1]
            try:
                command = PEERS[tool].command(url, connections, LONGEST, folder)
            except NotInstalled as error:
                print(error, file=sys.stderr)
                continue
            one = Contestant(tool, command, environment)
            ready.append(one)
            if not one.start(lambda: seen(port)[1] - before >= connections):  # noqa: B023 (called at once)
                print(f"{tool} never held {connections} connections", file=sys.stderr)
        compare(ready, lambda: seen(port)[0], options.rounds, options.window)
    finally:
        for one in ready:
            one.end()
    checks = {name: peer.checks for name, peer in PEERS.items()}
    print(
        f"\n{url.split(':')[0]}, {connections} connections, {options.rounds} turns each: requests per CPU-second"
    )
    for reference in [tool for tool in tools if tool.startswith("assay")]:
        print("\n".join(table(ready, reference, checks)), flush=True)


if __name__ == "__main__":
    main()
