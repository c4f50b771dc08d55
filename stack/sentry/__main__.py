"""`python -m stack.sentry CONFIG.json`: Bugsink with the recorder in front, until SIGTERM."""

from __future__ import annotations

import os
import sys
import threading

from stack.sentry.app import make
from stack.sentry.bugsink import Bugsink, load
from stack.vendors.serve import die_with_parent, serve


def watch(bugsink: Bugsink) -> None:
    """End this process as soon as Bugsink ends unasked: one component, one life."""
    assert bugsink.process is not None
    code = bugsink.process.wait()
    if not bugsink.stopping:
        print(f"sentry: Bugsink ended by itself with {code}; its log is {bugsink.log}", file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    die_with_parent()
    config = load(sys.argv[1])
    bugsink = Bugsink(config)
    bugsink.prepare()
    bugsink.start()
    try:
        bugsink.wait_ready()
        threading.Thread(target=watch, args=(bugsink,), daemon=True).start()
        serve(make(config, bugsink), "sentry", int(config["ports"]["sentry"]))
    finally:
        bugsink.stop()
