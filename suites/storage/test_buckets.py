"""P1.3, P6.3: buckets as a matrix: every bucket, every role, every verb, judged by the objects that are there."""

from __future__ import annotations

from fnmatch import fnmatchcase

from clients.catalog import read_catalog
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.access import keep_access
from suites.database.advisors.buckets import bucket_findings
from suites.database.advisors.finding import Finding
from suites.database.advisors.judged import judge
from suites.storage.bucket_matrix import ROLES, VERBS, BucketMatrix, Object
from suites.types import NewActor, Witness

STORAGE = "supabase.storage"


@check(
    "storage.bucket_matrix",
    "Every bucket grants every role exactly what was decided, takes what it should, and is as public as was decided",
    requirement=("P1.3", "P6.3"),
    service=STORAGE,
    needs=("auth.email", "storage.supabase", "storage.buckets"),
    timeout=60,
    why_slow="every bucket, role and verb, each by several ways",
)
def test_matrix(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """Objects are read by download, list and signed address, written by upload, update, upsert and move.

    A signed address reads for as long as it was signed for, and no longer.
    """
    matrix = BucketMatrix(run, services, ledger, actor)
    subjects = []
    wrong: list[str] = []
    tried = 0
    access: dict[str, dict[str, str]] = {}
    public: dict[str, bool] = {}
    for name, bucket in run.target.description.storage.buckets.items():
        subject = matrix.subject(name, bucket)
        subjects.append(subject)
        public[name] = matrix.public(subject)
        if public[name] != bucket.public:
            wrong.append(f"{name} is {'private' if bucket.public else 'public'}, not as decided")
        for role in ROLES:
            may = bucket.may[role]
            for verb in "RCUD":
                did = matrix.attempt(subject, role, verb)
                letters = access.setdefault(name, {}).setdefault(role, "")
                access[name][role] = letters + (verb if did else "")
                if verb == "R" and role == "nobody" and bucket.public:
                    continue  # what is public may be downloaded by everybody; that it is so was tried above
                tried += 1
                if verb not in may and did and not (verb == "R" and bucket.public):
                    wrong.append(f"{role} may not {VERBS[verb]} {name}, and did ({', '.join(did)})")
                elif verb in may and not did and not run.target.description.suggested:
                    wrong.append(f"{role} may {VERBS[verb]} {name}, and could not")
        wrong += _refused(matrix, name)
    keep_access(run, "storage.bucket_matrix", "buckets", access, public=public)
    witness("Storage API with the secret key", f"{tried} attempts judged by the objects that are there")
    expect(tried, "the project describes buckets to be tried", service=STORAGE)
    expect(
        not wrong,
        "buckets are as the project's target.toml decides",
        expected=f"{tried} attempts as decided",
        saw="; ".join(wrong),
        service=STORAGE,
    )
    _links_end(matrix, subjects)


def _links_end(matrix: BucketMatrix, subjects: list[Object]) -> None:
    """Links of a second beside those of a minute, which read the same object (positive control)."""
    for subject in (one for one in subjects if "R" in one.bucket.may["owner"]):
        long, short = matrix.links(subject, 60), matrix.links(subject, 1)
        for way, link in long.items():
            claim = f"{way} of {subject.name} reads the object that it was signed for (positive control)"
            expect(matrix.opens(link, subject), claim, service=STORAGE)
        eventually(
            lambda short=short, subject=subject: [w for w, to in short.items() if matrix.opens(to, subject)],  # type: ignore[misc]
            until=lambda open_ways: not open_ways,
            within=10,
            claim=f"a link to an object of {subject.name} that was signed for a second has its end",
            service=STORAGE,
        )


def _refused(matrix: BucketMatrix, name: str) -> list[str]:
    """What a bucket must not take from its owner: objects over its limit, and types that it refuses."""
    bucket = matrix.run.target.description.storage.buckets[name]
    if "C" not in bucket.may["owner"]:
        return []
    wrong = []
    if bucket.limit is not None:
        large = matrix.unused(name, bucket)
        if matrix.puts(large, "owner", data=b"a" * (bucket.limit + 1)):
            wrong.append(f"{name} takes an object over {bucket.limit} bytes")
    takes = [m for m in bucket.refuses if matrix.puts(matrix.unused(name, bucket), "owner", mime=m)]
    return wrong + [f"{name} takes {mime}" for mime in takes]


@check(
    "storage.buckets_as_described",
    "Every described bucket is there, as public as was decided, and set to take what it should",
    requirement=("P1.3", "P6.3"),
    service=STORAGE,
    needs=("storage.supabase", "storage.buckets"),
    actions=(Action.READ,),
)
def test_settings(run: Run, services: ServiceClients, witness: Witness) -> None:
    """By what Storage says of its buckets; `storage.bucket_matrix` tries each."""
    there = {str(bucket["id"]): bucket for bucket in services.storage.buckets()}
    witness("Storage API with the secret key", f"{len(there)} buckets")
    wrong = []
    for name, decided in run.target.description.storage.buckets.items():
        if (bucket := there.get(name)) is None:
            wrong.append(f"there is no bucket {name}")
            continue
        if bool(bucket.get("public")) != decided.public:
            wrong.append(f"{name} is {'private' if decided.public else 'public'}, not as decided")
        limit = bucket.get("file_size_limit")  # none: the project's own limit counts, which no API tells
        if decided.limit is not None and limit is not None and limit > decided.limit:
            wrong.append(f"{name} takes objects of up to {limit} bytes, not {decided.limit}")
        types = bucket.get("allowed_mime_types") or ["*/*"]
        wrong += [f"{name} takes {mime}" for mime in decided.refuses if _takes(types, mime)]
        if not _takes(types, decided.type):
            wrong.append(f"{name} does not take {decided.type}")
    expect(
        not wrong,
        "buckets are set as the project's target.toml decides",
        expected=f"{len(run.target.description.storage.buckets)} buckets as decided",
        saw="; ".join(wrong),
        service=STORAGE,
    )


def _takes(types: list[str], mime: str) -> bool:
    return any(fnmatchcase(mime, one) for one in types)


@check(
    "storage.advisors",
    "No public bucket lists its objects to who should not see which there are",
    requirement=("P1.3", "P6.3"),
    service=STORAGE,
    needs=("auth.email", "storage.supabase", "database.rest", "database.sql"),
)
def test_listing(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """Supabase's lint 0025, tried by a visitor and a stranger; buckets that are public are told and close nothing."""
    catalog = read_catalog(services.database.demand_sql())
    tokens = {"nobody": None, "stranger": actor().access_token}

    def listed(finding: Finding) -> str:
        bucket, key = finding.on.removeprefix("bucket "), f"assay-{run.tag()}.txt"
        ledger.plan("storage.object", bucket=bucket, key=key)
        types = allowed.get(bucket) or ["text/plain"]  # what the bucket refuses could be listed by nobody
        headers = {"Content-Type": types[0].replace("/*", "/plain")}
        path = f"/object/{bucket}/{key}"
        services.storage.as_admin("POST", path, body=b"assay", headers=headers).demand(200)
        body = {"prefix": "", "search": key, "limit": 10}
        answers = {
            role: services.storage.as_user("POST", f"/object/list/{bucket}", token, body=body)
            for role, token in tokens.items()
        }
        saw = [
            role
            for role, answer in answers.items()
            if answer.status == 200 and any(entry.get("name") == key for entry in answer.json(list))
        ]
        return f"{' and '.join(saw)} list its objects" if saw else ""

    there = services.storage.buckets()
    allowed = {bucket["id"]: bucket.get("allowed_mime_types") for bucket in there}
    names = sorted(str(bucket["id"]) for bucket in there)
    witness("SQL", f"{len(catalog.buckets)} buckets")
    expect_equal(names, sorted(catalog.buckets), "Storage speaks of this database's buckets", service=STORAGE)
    judge(run, "storage.advisors", bucket_findings(catalog), listed, STORAGE)
