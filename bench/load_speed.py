"""Requests per CPU-second of the generator, against the peers, interleaved on the same nginx.

    python bench/load_speed.py [--connections 64,1000] [--rounds 3] [--tls] [--tools assay,k6,wrk,…]

Counts requests at the server (nginx's stub_status) and CPU of the tool's whole process tree, in windows of a
second after all connections stand; rounds go through all tools in turn, so that a busy minute hits all alike.
Prints medians, the spread (10th to 90th percentile) and ratios to this engine's. Needs nginx (Debian:
nginx-light); with two cores or more, nginx runs on the last one and the tools on the first.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import PEERS, NotInstalled
from bench.load_server import BODY

WINDOWS, SETTLE, LONGEST = 4, 1.5, 60
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
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        lines = answer.read().decode().split("\n")
    return int(lines[2].split()[2]), int(lines[0].split(":")[1])


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            times = one.cpu_times()
            total += times.user + times.system
    except psutil.Error:
        pass
    return total


def measure(name: str, url: str, port: int, connections: int, folder: Path) -> list[float]:
    """Requests per CPU-second, one figure a window."""
    command = PEERS[name].command(url, connections, LONGEST, folder)
    pin = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
    environment = os.environ | {"BENCH_CA": str(folder / "cert.pem") if url.startswith("https") else ""}
    process = subprocess.Popen(
        [*pin, *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    found = []
    try:
        until = time.monotonic() + 30
        while seen(port)[1] < connections and time.monotonic() < until and process.poll() is None:
            time.sleep(0.2)
        time.sleep(SETTLE)
        for _ in range(WINDOWS):
            before, used = seen(port)[0], cpu(process.pid)
            time.sleep(1.0)
            after, used = seen(port)[0], cpu(process.pid) - used
            if used > 0.05:
                found.append((after - before - 1) / used)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return found


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", default="64,1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--tools", default=",".join(PEERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with nginx(folder) as (port, tls):
            url = f"https://127.0.0.1:{tls}/x" if options.tls else f"http://127.0.0.1:{port}/x"
            for connections in map(int, options.connections.split(",")):
                _compare(options.tools.split(","), options.rounds, url, port, connections, folder)


def _compare(tools: list[str], rounds: int, url: str, port: int, connections: int, folder: Path) -> None:
    figures: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            try:
                figures[tool] += measure(tool, url, port, connections, folder)
            except NotInstalled as error:
                print(error, file=sys.stderr)
            time.sleep(0.3)
    print(f"\n{url.split(':')[0]}, {connections} connections, {rounds} rounds: requests per CPU-second")
    print(f"{'tool':14}{'median':>9}{'p10':>9}{'p90':>9}  checked   assay is")
    ours = statistics.median(figures.get("assay") or [float("nan")])
    for tool in tools:
        values = sorted(figures[tool])
        if not values:
            print(f"{tool:14}        -  (no window with all connections)")
            continue
        median = statistics.median(values)
        low, high = values[len(values) // 10], values[len(values) * 9 // 10]
        checked = "yes" if PEERS[tool].checks else "no"
        print(f"{tool:14}{median:9.0f}{low:9.0f}{high:9.0f}  {checked:7}{ours / median:9.2f} x", flush=True)


if __name__ == "__main__":
    main()
