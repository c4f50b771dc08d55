"""Each attack finds the weakness that is planted for it, on a platform that Assay never saw."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.events import CheckFinished
from core.evidence import Evidence
from core.user_settings import for_child
from runner.check_parts import UNUSED_PLUGINS
from tests.second_platform.running import ROOT, Second, second

TOKENS = {
    "unsigned": ("unsigned (alg none)", "unsigned (alg nOnE)", "without alg"),
    "confused": ("signed with the public key in PEM",),
    "well_known": ("signed with the known secret 'super-secret-jwt-token-with-'",),
    "key_from_a_file": ("whose key id is ../../../../../../dev/null",),
    "key_in_the_token": ("with a key of its own in it",),
    "key_from_its_address": ("with a key's address in it (jku)",),
    "key_of_its_issuer": ("of an issuer of its own",),
    "certificate_in_the_token": ("with a certificate of its own in it (x5c)",),
    "zeros": ("signed with zeros",),
    "known_id_alone": ("with another's payload", "with the service's role", "of another project"),
}
"""Weak ways to verify a token (`gullible`), and the forged tokens that they take."""


@pytest.fixture(scope="module")
def platform():
    with second() as it:
        yield it


def judged(platform: Second, *checks: str, faults: Iterable[str] = ()) -> dict[str, CheckFinished]:
    """What becomes of these checks with these faults in the platform's API; by pytest alone, which writes no report."""
    platform.plant(*faults)
    with tempfile.TemporaryDirectory(dir=platform.folder) as folder:
        words = [
            "--checks",
            ",".join(checks),
            "--target",
            "live",
            "--run-dir",
            folder,
        ]
        file = ["--target-file", str(platform.folder / "target.toml")]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "suites", "-q", "--tb=no", *UNUSED_PLUGINS, *words, *file],
                cwd=ROOT,
                env=for_child({}, without=("ASSAY_PROJECT", "ASSAY_TARGET", "ASSAY_RUN", "ASSAY_STATE")),
                capture_output=True,
                text=True,
                timeout=300,
            )
        finally:
            platform.plant()
        events = Evidence(Path(folder)).events(CheckFinished)
    found = {event.check: event for event in events}
    assert found.keys() == set(checks), done.stdout[-3000:] + done.stderr[-3000:]
    return found


EVERYTHING = {
    "security.forged_tokens": [
        f"GET /v2/me takes a token {name}" for names in TOKENS.values() for name in names
    ],
    "security.direct_references": [
        "a stranger uses GET /v2/files/{id} of a docs: its bytes come",
        "a stranger uses DELETE /v2/files/{id} of a docs: it changes the bytes",
        "nobody uses GET /v2/files/{id} of a docs, saying to be the owner",
    ],
    "security.hostile_names": [
        "leads up to another's folder: it lies at",
        "has a line end and a header: its name becomes a header of the answer",
        "has markup breaks the platform (500",
        "another's files change",
    ],
    "security.hostile_contents": [
        "a page (as text/html) would run, read by anybody (it is shown as text/html",
        "a drawing with a script (as image/svg+xml) would run",
        "a script (as text/javascript) would run",
    ],
    "security.packed_uploads": ["packed bytes become 1048577"],
    "storage.place_in_pictures": ["a place in a docs is removed, as the project says"],
    "security.scanner": ["a harmful docs is refused"],
    "security.malformed_requests": [
        "PATCH /v2/files/{id} with half a JSON as its body tells of the inside (Traceback",
        "PATCH /v2/files/{id} with NUL as called as its body breaks it (500",
    ],
    "security.limits_hold": [
        "GET /v2/export with X-Forwarded-For goes round the limit",
    ],
    "security.extra_fields": ["owner_id of a docs can be set", "bytes of a docs can be set"],
    "privacy.exported": [" of 1001 rows of one table"],
    "privacy.erased": [
        "nothing of an erased person is left in any table or store",
        "public.settings.value (1)",
        "storage:docs",
    ],
    "security.own_role": ["they set app_metadata", "the next token has another app_metadata"],
}
"""What each check says when all the faults are planted at once."""
FAULTS = (
    *TOKENS, "anybody's file", "believes a header", "names are paths", "names are headers", "chokes on markup",
    "anybody opens", "unpacks", "keeps places", "scans nothing", "tells of the inside", "takes every field",
    "counts by a header", "chokes on NUL",
    "exports one page", "keeps objects", "keeps the address",
)  # fmt: skip


RAISES = """
create function app.raises() returns trigger language plpgsql as $$ begin
  new.raw_app_meta_data = new.raw_app_meta_data || new.raw_user_meta_data;
  return new;
end $$;
create trigger raises before update of raw_user_meta_data on auth.users for each row execute function app.raises();
"""
"""What people say of themselves is copied to where rights stand, by a trigger."""


def test_every_planted_weakness_is_told_by_its_name(platform):
    platform.sql(RAISES)
    try:
        found = judged(platform, *EVERYTHING, faults=FAULTS)
    finally:
        platform.sql("drop function app.raises() cascade")
    for check, sentences in EVERYTHING.items():
        event = found[check]
        assert event.outcome == "missed", event
        for sentence in sentences:
            assert sentence in event.message, f"{sentence}\n{event.message}"
