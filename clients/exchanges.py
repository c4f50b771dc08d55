"""What the check in progress asked and what came back: the last exchanges of this process, kept for the check's page.

Of each only the beginning of the answer is kept, never what was sent. Asking the same again, as waiting does, counts up the
one exchange. Witnesses and the platform are kept apart, so that a busy platform does not push a witness's answer out.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.read_limits import PLATFORM
from core.clock import now_ns
from core.events import CheckExchange
from core.secret import MASK, Redactor
from core.text import on_one_line, safe

KEPT = 5
"""Exchanges that are kept of the platform, and as many of its witnesses."""
LONGEST = 3584
"""Bytes of an answer that are held until the check ends."""
UNSURE = 1536
"""Characters at the end of what is held of a longer answer, within which a secret may be cut."""
SHOWN = 600
"""Characters of an answer that are journaled."""
ASKED = 240
"""Characters of what was asked."""
_NO_TEXT = "a body that is no text"
_SECRETS = re.compile(
    r'("(?!token_type")[\w-]*(?:token|secret|password|otp|verifier|apikey|api_key|action_link|signed_?url|qr_code)[\w-]*"\s*:\s*)"[^"]*"?',
    re.IGNORECASE,
)
"""Fields of an answer whose values are credentials by their names; that an excerpt ends within one is no matter."""
_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
"""Mail addresses: whose they are is nobody's business who reads a report."""


@dataclass
class Exchange:
    """One question and its answer so far; `at` is monotonic, in nanoseconds, of the last time that it was asked."""

    service: str
    asked: str
    at: int
    answer: str = ""
    times: int = 1
    body: bytearray = field(default_factory=bytearray)

    def take(self, chunk: bytes) -> None:
        """The next piece of the answer's body."""
        if len(self.body) < LONGEST:
            self.body += chunk[: LONGEST - len(self.body)]

    @property
    def text(self) -> str:
        """The answer as a person reads it: its status, then its body's beginning."""
        return f"{self.answer} {_readable(bytes(self.body))}".strip()


_lock = threading.Lock()
_held: tuple[OrderedDict[str, Exchange], OrderedDict[str, Exchange]] = (OrderedDict(), OrderedDict())


def begin() -> None:
    """A check begins: what was asked before is another's."""
    with _lock:
        for held in _held:
            held.clear()


def note(service: str, asked: str, answer: str = "", body: bytes = b"") -> Exchange:
    """Keeps that `service` was asked this, and its answer as far as it is known."""
    made = Exchange(service, asked, now_ns(), answer)
    made.take(body)
    with _lock:
        held = _held[service in PLATFORM]
        before = held.pop(f"{service} {asked}", None)
        made.times += before.times if before else 0
        held[f"{service} {asked}"] = made
        if len(held) > KEPT:
            held.popitem(last=False)
    return made


def note_rows(service: str, query: str, parameters: object, rows: Sequence[Any]) -> None:
    """Keeps what a query found; the first rows of it."""
    statement = " ".join(query.split())
    given = f" with {parameters!r}" if parameters else ""
    shown = json.dumps(list(rows[:3]), default=str, ensure_ascii=False)
    found = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    note(service, f"SQL {statement[:160]}{given}", found, shown.encode())


def kept(check: str, attempt: int, redactor: Redactor) -> list[CheckExchange]:
    """The exchanges since `begin` as events, oldest first; masked, and cut after that."""
    with _lock:
        found = sorted((e for held in _held for e in held.values()), key=lambda e: e.at)
    return [
        CheckExchange(
            check=check,
            attempt=attempt,
            service=e.service,
            asked=on_one_line(_masked(e.asked, redactor), ASKED),
            answer=_shown(e, redactor),
            times=e.times,
            at=e.at,
        )
        for e in found
    ]


def _shown(exchange: Exchange, redactor: Redactor) -> str:
    """An answer's beginning, masked while more of it is there: where what is held was cut, half a secret may stand."""
    whole = exchange.text
    text = safe(_masked(whole[: SHOWN + UNSURE], redactor))
    if (len(whole) > SHOWN + UNSURE or len(exchange.body) == LONGEST) and not text.endswith(_NO_TEXT):
        text = text[:-UNSURE]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _masked(text: str, redactor: Redactor) -> str:
    return redactor.text(_ADDRESSES.sub(MASK, _SECRETS.sub(rf'\1"{MASK}"', text)))


def _readable(body: bytes) -> str:
    """Bytes as text; what is none is told by its length, or that it goes on."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        if error.start < len(body) - 4:
            return _NO_TEXT
        text = body[: error.start].decode()
    return _NO_TEXT if "\x00" in text else text
