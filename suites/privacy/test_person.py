"""P6.3, prod.compliance: what any platform holds of a person comes out whole, and goes away whole, by its description."""

from __future__ import annotations

from clients.identities import Actor
from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.description.database import OWNER, STRANGER
from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.room_wire import RoomWire
from core.run import Run
from scenarios.adapter import Adapter
from suites.database.matrix import Matrix, Subject
from suites.privacy.places import Places
from suites.security.attempts import REFUSED, Attempts, said
from suites.security.upload.holdings import holdings
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
DATABASE = "supabase.database"
BEYOND_A_PAGE = 1001
"""One more than the data API gives at once (Supabase docs: "Max rows", 1,000)."""


def own(subject: Subject, person: Actor) -> str:
    """The column by which a row says that it is this person's; '' when none does."""
    return next(
        (name for name, value in subject.row.items() if value == person.id and name not in subject.case.keys),
        "",
    )


def life(
    run: Run, services: ServiceClients, adapter: Adapter, matrix: Matrix, made: NewFile
) -> tuple[list[Subject], list[MadeFile]]:
    """What the owner has: a row of each described table that people fill, and a file of each kind."""
    owner = matrix.people[OWNER]
    rows = [subject for subject in matrix.subjects(by=OWNER) if own(subject, owner)]
    files = []
    for kind, described in run.target.description.platform.files.items():
        file = made(400, described.type)
        port, token = services.platform.port, owner.access_token
        answer = adapter.upload(port, token, name=file.name, data=file.data, mime=file.mime, kind=kind)
        if answer.status != described.upload.answers:
            raise ServiceError(PLATFORM, f"preparing a {kind}: {said(answer)}")
        if "name" in described.upload.names:
            files.append(file)
    return rows, files


@check(
    "privacy.exported",
    "A person's export holds every row and file that is theirs, past every page, and nobody else's address",
    requirement=("P6.3", "prod.compliance"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "database.tables",
        "platform.files",
        "privacy.export",
    ),
    timeout=60,
    why_slow="a thousand rows are written and exported",
    threat="An export that leaves something out breaks the law; one that holds another's data breaks it twice.",
    references=("GDPR Art. 15, 20", "ASVS 14.2.4"),
    fix="Read every table that names the person page by page until none is left; make the export from the catalog.",
)
def test_exported(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    ledger: Ledger,
    actor: NewActor,
    made: NewFile,
    witness: Witness,
) -> None:
    """Rows are those of `[database.tables]` that their owner makes and that name the owner; one table goes past a page."""
    matrix = Matrix(run, services, ledger, actor)
    owner, other = matrix.people[OWNER], matrix.people[STRANGER]
    rows, files = life(run, services, adapter, matrix, made)
    words = [str(row.values["tag"]) for row in rows if str(row.values["tag"]) in str(row.row)]
    many = _many(services, ledger, rows, owner)
    answer = adapter.export(services.platform.port, owner.access_token)
    expect(200 <= answer.status < 300, "a person's export is answered", saw=said(answer), service=PLATFORM)
    attempts = Attempts(PLATFORM)
    attempts.must_fail("the export lacks the address", owner.email in answer.text)
    for row in rows:
        tag = str(row.values["tag"])
        attempts.must_fail(f"the export lacks a row of {row.name}", tag not in words or tag in answer.text)
    lacking = [word for word in many if word not in answer.text]
    attempts.must_fail(f"the export lacks {len(lacking)} of {len(many)} rows of one table", not lacking)
    for file in files:
        attempts.must_fail("the export lacks a file", file.name in answer.text, file.name)
    attempts.must_fail("the export holds another's address", other.email not in answer.text)
    nobody = adapter.export(services.platform.port, None)
    attempts.must_be_refused("nobody gets an export", nobody, owner.email)
    witness(
        services.database.channel,
        f"{len(words) + len(many)} rows and {len(files)} files that are the person's",
    )
    attempts.judge("a person's export holds all that is theirs", "every row and file, and nothing of others")


def _many(services: ServiceClients, ledger: Ledger, rows: list[Subject], owner: Actor) -> list[str]:
    """Writes more rows than a page holds into the first table that takes them; their words."""
    for subject in rows:
        if subject.case.row is None or "C" not in subject.case.may[OWNER] or subject.case.before:
            continue
        template = subject.case.row
        made = [subject.fresh(template) for _ in range(BEYOND_A_PAGE)]
        words = [
            next((str(v) for v in row.values() if str(subject.values["tag"]) in str(v)), "") for row in made
        ]
        if not all(words) or len(set(words)) < BEYOND_A_PAGE:
            continue
        ledger.plan("database.row", table=subject.table, match={own(subject, owner): owner.id})
        answer = services.database.rest(
            "POST", f"/{subject.table}", token=owner.access_token, body=made, prefer="return=minimal"
        )
        answer.demand(201)
        return words
    return []


@check(
    "privacy.erased",
    "After an erasure no column of any table names the person, no store holds their files, and no token is theirs",
    requirement=("P6.3", "prod.compliance"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "database.sql",
        "database.tables",
        "platform.files",
        "platform.whoami",
        "privacy.erase",
    ),
    timeout=60,
    why_slow="every table is looked through, before and after",
    threat="What is left of a person who went is held without right, and comes out in the next leak.",
    references=("GDPR Art. 17", "ASVS 14.2.7"),
    fix="Erase by the catalog, not by a list; make what must be kept anonymous, and end every token.",
)
def test_erased(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    ledger: Ledger,
    actor: NewActor,
    made: NewFile,
    witness: Witness,
) -> None:
    """The whole catalog is searched for the person's id and address, by SQL; before the erasure both are found.

    The old token is tried at every described door that lets somebody else in.
    """
    matrix = Matrix(run, services, ledger, actor)
    owner, other = matrix.people[OWNER], matrix.people[STRANGER]
    life(run, services, adapter, matrix, made)
    places = Places(services.database.demand_sql())
    words = (owner.id, owner.email)
    expect(places.of(words), "the person is found before the erasure (positive control)", service=DATABASE)
    answer = adapter.erase(services.platform.port, owner.access_token, owner.email)
    expect(200 <= answer.status < 300, "an erasure is answered", saw=said(answer), service=PLATFORM)
    left = eventually(
        lambda: (places.of(words), {k: v for k, v in holdings(services, owner.id).items() if v}),
        until=lambda found: not any(found),
        within=30,
        every=1,
        claim="nothing of an erased person is left in any table or store",
        service=PLATFORM,
    )
    untried = f"; too large to be read: {', '.join(places.untried)}" if places.untried else ""
    witness("SQL and the stores' own APIs", f"{places.columns} columns looked through{untried}")
    expect_equal(
        left, ([], {}), "nothing of an erased person is left in any table or store", service=PLATFORM
    )
    attempts = Attempts(PLATFORM)
    me = adapter.whoami(services.platform.port, owner.access_token)
    attempts.must_fail("the old token still lets them in", me.status in REFUSED, said(me))
    for route in _doors(run):
        if 200 <= adapter.get(services.platform.port, route, other.access_token).status < 300:
            old = adapter.get(services.platform.port, route, owner.access_token)
            attempts.must_fail(f"the old token still reads {route}", old.status in REFUSED, said(old))
    again = adapter.sign_in(services.auth.port, owner.email, owner.password)
    attempts.must_fail("they can still log in", again.status in REFUSED, said(again))
    fresh = adapter.refresh(services.auth.port, owner.refresh_token)
    attempts.must_fail("their session can still be refreshed", fresh.status in REFUSED, said(fresh))
    stays = adapter.whoami(services.platform.port, other.access_token)
    expect_equal(stays.status, 200, "nobody else is erased (positive control)", service=PLATFORM)
    attempts.judge("an erased person's tokens are dead", "refused")


def _doors(run: Run) -> list[str]:
    """Every route for people that the project describes and that is read by GET, in a room of the check's own."""
    described = run.target.description
    doors = list(described.platform.private)
    if described.rooms is not None:
        wire, room = RoomWire(described.rooms), f"assay-{run.tag()}"
        if described.rooms.history is not None:
            doors.append(wire.history_path(room, 0, 1))
        if described.rooms.presence is not None:
            doors.append(wire.presence_path(room))
    return doors
