"""Runs real supervisors on fake components, and finds every process that belongs to a stack."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FAKE = Path(__file__).with_name("fake.py")
PATIENCE_S = 40.0

MODULE = """
import sys
from stack.supervisor.component import Component, Engine

def generate(site, stack_config):
    stack_config.variables["{NAME}_URL"] = f"http://127.0.0.1:{{site.ports['{name}']}}"
    stack_config.secrets["{name}_key"] = "hush-{name}"

COMPONENT = Component(
    name="{name}", ports=("{name}",), needs={needs!r}, generate=generate, start_s={start_s},
    argv=lambda site: [sys.executable, {fake!r}, str(site.config), "{name}", "{mode}"],
    engines=lambda site: {{"{name}": Engine("stand-in", "fake {name}")}},
)
"""


def component(folder, name, mode="well", needs=(), start_s=30.0):
    """Add a fake component to a folder of components."""
    folder.mkdir(exist_ok=True)
    text = MODULE.format(
        name=name, NAME=name.upper(), mode=mode, needs=tuple(needs), fake=str(FAKE), start_s=start_s
    )
    (folder / f"{name}.py").write_text(text)


def eventually(probe, what):
    """Wait until `probe()` is true, and return what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)
    return found


class Stack:
    """One stack under test: commands on it, and the processes that belong to it."""

    def __init__(self, folder, components=None):
        self.state = folder / "state"
        self.components = components
        self.started = []

    def argv(self, verb, *options):
        fakes = ["--components", str(self.components)] if self.components else []
        return [sys.executable, "-m", "stack.supervisor", verb, "--state", str(self.state), *fakes, *options]

    def run(self, verb, *options, check=True, **keywords):
        """Run one command to its end."""
        done = subprocess.run(
            self.argv(verb, *options), cwd=ROOT, capture_output=True, text=True, timeout=90, **keywords
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def hold(self, *options):
        """Start `up --hold --json` and return it at once."""
        process = subprocess.Popen(
            self.argv("up", "--hold", "--json", *options), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def held(self, *options):
        """Start `up --hold --json`; returns the process and its answer once ready."""
        process = self.hold(*options)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)

    def processes(self):
        """Process ids of the supervisor, the guards, the components and all below them; not of holders."""
        mark, ours = f"ASSAY_STACK={self.state}".encode(), str(self.state).encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                marked = mark in (entry / "environ").read_bytes().split(b"\0")
                if marked or (ours in argv and b"serve" in argv):
                    found[int(entry.name)] = b" ".join(argv).decode()
        return found

    def supervisor(self):
        """The supervisor's process id."""
        return json.loads((self.state / "supervisor.json").read_text())["pid"]

    def gone(self):
        """Wait until no process of this stack is left."""
        eventually(lambda: not self.processes(), f"no process left of {self.processes()}")

    def ask(self, answer, method, path, body=None, token=None):
        """Ask the control address; returns status and value."""
        control = answer["control"]
        request = urllib.request.Request(
            control["url"] + path,
            method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Authorization": f"Bearer {token or control['token']}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def component(self, answer, name):
        """One component as the control address tells it."""
        _, found = self.ask(answer, "GET", "/components")
        return next(c for c in found["components"] if c["name"] == name)

    def events(self):
        """Every event of the present life, from the disk."""
        path = self.state / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def close(self):
        """End everything, whatever a test left."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self.run("down", check=False)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
