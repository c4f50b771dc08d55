"""How far the generator is from the target: the time of a TCP handshake with each of its origins, and the region."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from core.load_events import GeneratorNetwork
from core.run import Run

TRIES = 7


def round_trip_ms(address: str) -> float | None:
    """The median of some TCP handshakes with an origin, in milliseconds; None when it takes no connection."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    took: list[float] = []
    try:
        family, _, _, _, where = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)[0]
        for _ in range(TRIES):
            with socket.socket(family, socket.SOCK_STREAM) as line:
                line.settimeout(10)
                start = time.perf_counter_ns()
                line.connect(where)
                took.append((time.perf_counter_ns() - start) / 1e6)
    except OSError:
        return None
    return round(statistics.median(took), 3)


def record(run: Run, profile: str, variables: Iterable[str]) -> None:
    """Journals the round trip to each origin that these variables name, and where the generator says it runs."""
    named = {name: address for name in variables if (address := run.target.find(name))}
    found = {name: round_trip_ms(run.permit.contact(address)) for name, address in named.items()}
    known = {name: took for name, took in found.items() if took is not None}
    region = str(run.load.settings.get("region", ""))
    run.journal.write(GeneratorNetwork(profile, region, known), durable=True)
