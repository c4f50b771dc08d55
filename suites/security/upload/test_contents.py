"""P2.2, P6.3: hostile contents: pages, drawings and scripts under false types, files that are two things, bombs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from clients.identities import Actor
from clients.made_files import made_bytes
from clients.service_clients import ServiceClients
from core.description import pick
from core.description.platform import Files
from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.passport import check
from core.port import Answer
from core.run import Run
from scenarios.adapter import Adapter, Stored
from suites.security.attempts import Attempts, HostilePort, said
from suites.security.upload.holdings import holdings
from suites.security.upload.hostile import (
    Hostile,
    contents,
    could_be_a_script,
    jpeg_with_place,
    names_a_place,
    packed,
    would_run,
)
from suites.types import NewActor, Witness

PLATFORM = "platform"


@check(
    "security.hostile_contents",
    "Nothing that a stranger uploaded runs in the browser of who opens it, whatever it was said to be",
    requirement=("P2.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files", "platform.files.*.read"),
    timeout=60,
    why_slow="some twenty-five uploads of each kind of file, each read back in every way",
    threat="A page or script that is handed out from the platform's own origin acts there as whoever opens it.",
    references=("ASVS 5.2.2", "ASVS 5.4.1", "ASVS 3.2.1", "ASVS 3.4.4", "CWE-434", "CWE-79"),
    fix="Hand files out as attachments with nosniff and Content-Security-Policy: sandbox, or from an origin of their own; "
    "take a type from the bytes, not from the sender.",
)
def test_hostile_contents(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Judged as a browser would by the answer's headers (HTML and Fetch standards); a harmless file is taken and read."""
    attempts = Attempts(PLATFORM)
    for kind, described in run.target.description.platform.files.items():
        if described.read is None:
            continue
        person, taken = actor(), 0
        plain = Hostile("a harmless file", described.type, made_bytes(run.tag(), 500))
        first = _send(services, adapter, person, plain, kind)
        expect_equal(
            first.status,
            described.upload.answers,
            f"a harmless {kind} is taken (positive control)",
            service=PLATFORM,
        )
        for one in contents():
            answer = _send(services, adapter, person, one, kind)
            attempts.must_fail(f"{one.what} breaks the platform", answer.status < 500, said(answer))
            if not 200 <= answer.status < 300:
                continue
            taken += 1
            stored = adapter.stored(answer, kind)
            for way, handed in _handed_out(services, adapter, person, stored, described, kind):
                runs = would_run(handed.headers) or (
                    could_be_a_script(handed.headers) if way != "elsewhere" else ""
                )
                attempts.must_fail(f"{one.what} (as {one.declared}) would run, read {way}", not runs, runs)
            if described.remove is not None:
                adapter.remove_file(services.platform.port, person.access_token, stored.id, kind)
        again = _send(services, adapter, person, plain, kind)
        attempts.must_fail("the platform takes no harmless file any more", again.status < 300, said(again))
        witness(PLATFORM, f"headers of {taken} hostile {kind}s that were taken, in each way that reads them")
    attempts.judge(
        "what was uploaded runs in nobody's browser", "an attachment, a sandbox, or a type that runs nothing"
    )


def _send(services: ServiceClients, adapter: Adapter, who: Actor, one: Hostile, kind: str) -> Answer:
    name = f"assay-{hashlib.sha256(one.data).hexdigest()[:12]}.bin"
    token = who.access_token
    return adapter.upload(
        services.platform.port, token, name=name, data=one.data, mime=one.declared, kind=kind
    )


def _handed_out(
    services: ServiceClients, adapter: Adapter, who: Actor, stored: Stored, described: Files, kind: str
) -> Iterator[tuple[str, Answer]]:
    """Each way in which a browser may come by the file: by an address alone, since no link carries a token."""
    port, anything = services.platform.port, {"Accept": "*/*"}
    if described.read is not None:
        route = described.read.model_copy(update={"headers": {**described.read.headers, **anything}})
        opened = adapter.ask(port, route, None, id=stored.id)
        if opened.status == 200:
            yield "by anybody", opened
    for route in filter(None, (described.link, described.direct)):
        made = adapter.ask(port, route, who.access_token, id=stored.id)
        url = str(pick(made.json(), "url", "")) if 200 <= made.status < 300 else ""
        if url and services.run.target.permit.names(full := url if "://" in url else adapter.platform + url):
            same = full.startswith(
                adapter.platform + "/"
            )  # elsewhere it runs in an origin that has nothing to lose
            yield ("by a link" if same else "elsewhere"), port.request("GET", full, headers=anything)


@check(
    "security.packed_uploads",
    "A body that is packed for the way is not unpacked past the limit of a file",
    requirement=("P2.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files"),
    threat="A few kilobytes that unpack to gigabytes fill memory and stores, and go round quotas.",
    references=("ASVS 5.2.3", "API4:2023 Unrestricted Resource Consumption", "CWE-409"),
    fix="Refuse Content-Encoding on uploads, or count what comes out while it is unpacked.",
)
def test_packed_uploads(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """One byte over the limit of a file, packed a thousandfold, under Content-Encoding: gzip. A plain file is taken."""
    attempts = Attempts(PLATFORM)
    for kind, described in run.target.description.platform.files.items():
        person, port = actor(), services.platform.port
        plain = adapter.upload(port, person.access_token, name="plain.bin", data=b"plain", kind=kind)
        expect_equal(
            plain.status,
            described.upload.answers,
            f"a plain {kind} is taken (positive control)",
            service=PLATFORM,
        )
        data = packed(described.largest + 1)
        headers = {**described.upload.headers, "Content-Encoding": "gzip"}
        route = described.upload.model_copy(update={"headers": headers})
        values = {"name": "packed.gz", "folder": "/", "type": "application/gzip", "tag": "packed.gz"}
        answer = adapter.ask(HostilePort(port), route, person.access_token, data, size=len(data), **values)
        size = adapter.stored(answer, kind).size if 200 <= answer.status < 300 else None
        attempts.must_fail(
            f"{len(data)} packed bytes become {size}", size is None or size <= described.largest, said(answer)
        )
        attempts.must_fail("packed bytes break the platform", answer.status < 500, said(answer))
        well = adapter.upload(port, person.access_token, name="after.bin", data=b"after", kind=kind)
        attempts.must_fail(
            "no plain file is taken afterwards", well.status == described.upload.answers, said(well)
        )
        witness(PLATFORM, f"{len(data)} packed bytes as a {kind}: {answer.status}")
    attempts.judge("what unpacks past the limit of a file is not kept", "refused, or kept as it was sent")


@check(
    "storage.place_in_pictures",
    "The place that a phone writes into a picture is kept or taken out, as the project says",
    requirement=("P2.3", "prod.compliance"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files", "platform.files.*.place"),
    threat="A picture that is shared tells where its maker lives.",
    references=("ASVS 14.2.8", "GDPR Art. 5 (1) c, Art. 25"),
    fix="Take Exif out of pictures before they are kept, or say in `place` that they are kept as they come.",
)
def test_place(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """A JPEG with a latitude in its Exif goes up and comes back."""
    person, tried = actor(), 0
    for kind, described in run.target.description.platform.files.items():
        if not described.place or described.read is None:
            continue
        picture = Hostile("a picture with a place", "image/jpeg", jpeg_with_place())
        answer = _send(services, adapter, person, picture, kind)
        expect_equal(answer.status, described.upload.answers, "a photograph is taken", service=PLATFORM)
        stored = adapter.stored(answer, kind)
        back = adapter.read_file(services.platform.port, person.access_token, stored.id, kind=kind)
        tried += 1
        expect_equal(
            "kept" if names_a_place(back.content) else "removed",
            described.place,
            f"a place in a {kind} is {described.place}, as the project says",
            service=PLATFORM,
        )
        witness(PLATFORM, f"the place in a {kind}: {described.place}")
    expect(tried, "the project says what becomes of places in pictures", service=PLATFORM)


@check(
    "security.scanner",
    "A file that every scanner knows as harmful is refused, and nothing of it stays",
    requirement=("P2.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files", "platform.files.*.scanner"),
    threat="The platform hands out harmful programs in its own name.",
    references=("ASVS 5.4.3",),
    fix="Scan each file before it is handed out, and refuse what the scanner names.",
)
def test_scanner(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """The test file of EICAR (eicar.org, 68 letters), which harms nothing, beside a harmless one."""
    person, tried = actor(), 0
    # In two pieces, so that no scanner takes this file for one.
    eicar = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
    for kind, described in run.target.description.platform.files.items():
        if described.scanner is None:
            continue
        tried += 1
        plain = _send(
            services, adapter, person, Hostile("a harmless file", described.type, b"harmless"), kind
        )
        if plain.status != described.upload.answers:
            raise ServiceError(PLATFORM, f"preparing a harmless file: {said(plain)}")
        before = holdings(services, person.id)
        answer = _send(services, adapter, person, Hostile("EICAR", described.type, eicar), kind)
        expect_equal(answer.status, described.scanner, f"a harmful {kind} is refused", service=PLATFORM)
        expect_equal(
            holdings(services, person.id), before, f"a refused {kind} leaves nothing", service=PLATFORM
        )
        witness("both stores' own APIs", f"nothing left of a harmful {kind}")
    expect(tried, "the project says how harmful files are refused", service=PLATFORM)
