"""What every test of the harness needs of its own process."""

from __future__ import annotations

import signal

# A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that: a test that
# interrupts a child would then wait for nothing. A caught signal falls back to its default in the child.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
