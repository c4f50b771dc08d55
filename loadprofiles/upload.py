"""Uploads through the platform: small files in one request, larger ones in parallel parts; every byte is verified.

    assay load upload --users 10 --for 60s
    ASSAY_UPLOAD_MB=100 assay load upload --users 20 --for 5m

Sizes in megabytes come in turn from ASSAY_UPLOAD_MB ("0.2,0.2,0.2,6,25,100"). Each must lie in the store that the
project names for its size. The clock of perf.upload runs from the first request to the platform's success; the sample
counts once the store itself, asked past the platform, gives back bytes of the right hash. Then the file is removed.
What a load that ends leaves half done is removed after it (`setup/leftovers.py`), which is looked for, not assumed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent.pool import Pool
from locust import between, task
from locust.exception import StopUser

from core.description import pick
from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure, Response
from loadengine.measure.recorder import CANCELLED, CLOSED, ERROR, REFUSED, WRONG
from loadprofiles.oracles.files import Stores, StreamedFile
from loadprofiles.oracles.pending import Pending
from loadprofiles.setup.variables import LoadVariables
from loadprofiles.users.platform_user import PlatformUser
from scenarios.adapter import Adapter, Stored

NEEDS = Needs(
    uses=("platform.api", "auth.email", "storage.supabase", "storage.r2", "platform.files.*.store"),
    people=20,
    drain=90,
    leftovers=True,
    tries_again=True,
)
PARALLEL = 3
"""Parts of one file under way at once, as the web app has it."""
AGAIN_AFTER = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds until a part that was not taken (5xx, 429, a cut line) is sent again, as the web app does; each try is counted."""
IN_ONE = 5 * 1024 * 1024
"""Bytes up to which a file is sent in one request, as the web app does; larger ones in parts where there are parts."""
_now = time.monotonic_ns
WITNESSES = 2
"""Whole files read back at once: that is work of its own."""
CUT = "the answer is not in the contract's form (cut or altered)"
T = TypeVar("T")


class NotTaken(Exception):
    """The platform did not take a file: why, and the outcome that this is."""

    def __init__(self, answer: Response, why: str = "") -> None:
        super().__init__(why or _said(answer))
        self.outcome = REFUSED if answer.status == 429 else WRONG if 0 < answer.status < 500 else ERROR


class Uploader(PlatformUser, ClosedUser):
    """A signed-in person who uploads."""

    own_address = True
    wait_time = between(0.5, 1.5)
    timeout = 120.0

    def on_start(self) -> None:
        """Ports that only count, and one account for each size of what waits for its witness."""
        self.starts, self.sends, self.ends, self.removals = (
            self.port(Measure("upload", step=step), lambda a: None if a.status < 300 else _said(a))
            for step in ("start", "part", "complete", "remove")
        )

    @task
    def upload(self) -> None:
        """Sends a file, has it verified, removes it."""
        sizes = LoadVariables.of(self.engine.run.load.variables).upload_mb
        megabytes = sizes[(self.engine.number("upload") - 1) % len(sizes)]
        file, pending = StreamedFile(int(megabytes * 1_000_000)), _account(self, f"{megabytes:g}MB")
        begun = _now()
        try:
            parts = self.adapter.files().parts is not None and file.size > IN_ONE
            stored = self._in_parts(file) if parts else self._in_one(file)
            done = _now()
            _demand_right(self.adapter, stored, file)
        except NotTaken as error:
            pending.failed(begun, begun, str(error), error.outcome)
            return
        except BaseException:
            pending.failed(begun, begun, "cut off by the end of the load", CANCELLED)
            raise
        pending.accepted(file.name, begun, begun, done)
        with self.engine.at_most(WITNESSES, "witness"):
            stores = self.engine.once(Stores, lambda: Stores(self.engine.run))
            wrong = stores.holds(self.adapter.files().store_of(file.size), stored.key, file.sha256)
        if wrong:
            pending.deny(file.name, wrong)
        else:
            pending.confirm(file.name)
        self.adapter.remove_file(self.removals, self.person.token, stored.id)

    def _in_one(self, file: StreamedFile) -> Stored:
        asked = self.adapter.upload_request(
            self.person.token, name=f"{file.name}.bin", size=file.size, sha256=file.sha256
        )
        answer = self.sends.request(asked.method, asked.address, headers=asked.headers, body=file.whole())
        return self._stored(answer)

    def _in_parts(self, file: StreamedFile) -> Stored:
        token, adapter = self.person.token, self.adapter
        described = adapter.files().parts
        assert described is not None
        stated = described.stated
        upload = _taken(
            adapter.start_upload(
                self.starts, token, name=f"{file.name}.bin", size=file.size, sha256=file.sha256
            ),
            adapter.started,
        )

        def put(number: int) -> None:
            begin = (number - 1) * upload.part_size
            part = file.part(begin, min(begin + upload.part_size, file.size))
            asked = adapter.part_request(token, upload.id, number)
            answer = self.sends.request(asked.method, asked.address, headers=asked.headers, body=part)
            size = _taken(answer, lambda whole: pick(whole.json(), stated) if stated else part.size)
            if size != part.size:
                raise NotTaken(answer, "a part was stored with another size")

        def send(number: int) -> BaseException | None:
            try:
                _patiently(lambda: put(number))
            except (NotTaken, StopUser) as error:
                return error
            return None

        pool = Pool(PARALLEL)
        try:
            for failure in pool.imap_unordered(send, range(1, -(-file.size // upload.part_size) + 1)):
                if failure is not None:
                    raise failure
        finally:
            pool.kill(block=False)
        complete = partial(adapter.complete_upload, self.ends, token, upload.id, sha256=file.sha256)
        return _patiently(lambda: self._stored(complete()))

    def _stored(self, answer: Any) -> Stored:
        stored = _taken(answer, self.adapter.stored)
        if not (stored.id and stored.key):
            raise NotTaken(answer, CUT)
        return stored


def _patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives, asked again as long as the platform is busy or the line is cut. Raises NotTaken."""
    for pause in AGAIN_AFTER:
        try:
            return ask()
        except NotTaken as error:
            if error.outcome == WRONG:
                raise
        gevent.sleep(pause)
    return ask()


def _said(answer: Any) -> str:
    """An answer that is no success, in the platform's words without numbers, so that causes group."""
    try:
        error = answer.json()["error"]
        service = (error.get("details") or {}).get("service", "")
        said = f"{error['code']} {service} {error['message']}"
    except (ValueError, KeyError, TypeError):
        said = ""
    cause = f"answered {answer.status} {said}" if answer.status else str(answer.error)
    return re.sub(r"[0-9a-f-]{8,}|\d{5,}", "…", cause).strip()[:160]


def _taken(answer: Any, read: Callable[[Any], T]) -> T:
    """What is read of a successful answer. Raises NotTaken."""
    if answer.error:
        raise NotTaken(answer)
    try:
        return read(answer)
    except (ValueError, KeyError, TypeError):
        raise NotTaken(answer, CUT) from None


def _demand_right(adapter: Adapter, stored: Stored, file: StreamedFile) -> None:
    """What the platform says that it stored is what was sent, where it belongs."""
    said = Response(201, b"", b"", 0, 0, 0, 0)
    right = adapter.files().store_of(file.size)
    if stored.store and stored.store != right:
        raise NotTaken(said, f"went to {stored.store} instead of {right}")
    stated = (
        (stored.size, file.size),
        (stored.sha256 or None, file.sha256),
        (stored.name or None, f"{file.name}.bin"),
    )
    if any(value not in (None, sent) for value, sent in stated):
        raise NotTaken(said, "stored another size, hash or name than was sent")


def _account(user: Uploader, size: str) -> Pending:
    """Where uploads of a size wait for their witness; one for the whole process."""
    found = next((p for p in user.engine.outstanding if p.measure.labels.get("size") == size), None)
    if found is None:
        measure = Measure("perf.upload", size=size)
        return Pending(
            user.engine,
            measure,
            within=300,
            why="not verified before the end of the load",
            flags=CLOSED,
            at_end=CANCELLED,
        )
    assert isinstance(found, Pending)
    return found
