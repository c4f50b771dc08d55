"""`python -m stack.vendors CONFIG.json`: serves the vendor stand-ins until SIGTERM."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stack.vendors.app import make
from stack.vendors.serve import serve

if __name__ == "__main__":
    config = json.loads(Path(sys.argv[1]).read_text())
    serve(make(config), "vendors", int(config["ports"]["vendors"]))
