"""A component for tests: `python fake.py CONFIG.json NAME MODE`; see `MODES` of harness.py."""

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

config = json.loads(Path(sys.argv[1]).read_text())
name, mode = sys.argv[2], sys.argv[3]
port = config["ports"][name]
token = config["secrets"]["control_token"]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        allowed = self.path == "/__control/faults" and self.headers["Authorization"] == f"Bearer {token}"
        self.answer(200 if allowed else 403, {"took": json.loads(body or b"{}")} if allowed else {})

    def do_GET(self):
        self.answer(200, {"name": name, "pid": os.getpid()})

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if mode == "dies":
    print("the first line\nthe reason why it cannot start", file=sys.stderr, flush=True)
    sys.exit(7)
if mode == "hangs":
    time.sleep(3600)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "breeds":
    # A grandchild that nobody waits for, ignores SIGTERM and has left our session: what workerd and others may do.
    deaf = "import signal,time;signal.signal(signal.SIGTERM,signal.SIG_IGN);time.sleep(3600)"
    code = f"import subprocess,sys;subprocess.Popen([sys.executable,'-c',{deaf!r}],start_new_session=True)"
    subprocess.run([sys.executable, "-c", code], check=True)

server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
print("some noise before", flush=True)
print("READY", json.dumps({"name": name, "url": f"http://127.0.0.1:{port}"}), flush=True)
print(f"{name} serves", file=sys.stderr, flush=True)
if mode == "soon":
    signal.signal(
        signal.SIGALRM, lambda *_: (print("it was too much", file=sys.stderr, flush=True), os._exit(9))
    )
    signal.setitimer(signal.ITIMER_REAL, 0.3)
server.serve_forever()
