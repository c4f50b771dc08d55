"""A platform that Assay never saw, by its folder alone: what applies is judged rightly, and what is planted is missed."""

import json

import pytest

from core.events import CheckCollected, CheckFinished
from core.evidence import Evidence
from tests.second_platform.running import Second, second

PLAN = ("--plan", "todos")


@pytest.fixture(scope="module")
def platform():
    with second() as it:
        yield it


def judged(platform: Second, *checks: str) -> dict[str, CheckFinished]:
    done = platform.assay("check", *checks, *PLAN, "--workers", "2")
    found = platform.outcomes()
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return found


def test_doctor_finds_everything(platform):
    done = platform.assay("doctor", *PLAN)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "table todos" in done.stdout
    assert "bucket docs" in done.stdout


def forecast(platform: Second) -> tuple[set[str], dict[str, list[str]]]:
    """Which checks the doctor says would be covered, and the others by why not."""
    plan = json.loads(platform.assay("doctor", *PLAN, "--json").stdout)["plan"]
    assert plan["covered"] == len(plan["checks"])
    return set(plan["checks"]), plan["not"]


def test_the_doctor_foretells_nothing_that_a_wrong_key_would_break(platform):
    env = platform.folder / ".env"
    right = env.read_text()
    env.write_text(right.replace(platform.service, "sb_secret_of_another_project_0000000000"))
    try:
        covered, left = forecast(platform)
    finally:
        env.write_text(right)
    assert not {name for name in covered if name.startswith(("auth.", "privacy."))}
    assert "database.rls_matrix" in left["not covered, supabase.auth does not answer as it must"]


def test_a_missing_variable_is_a_row_of_the_doctor_s_table(platform):
    """Finding 1.21: not one line that names the first name alone, with nothing else said."""
    env = platform.folder / ".env"
    right = env.read_text()
    env.write_text("".join(line for line in right.splitlines(True) if "ANON_KEY" not in line))
    try:
        done = platform.assay("doctor", *PLAN)
    finally:
        env.write_text(right)
    said = " ".join(done.stdout.split())
    assert done.returncode == 2
    for name in ("VITE_SUPABASE_ANON_KEY", "NEXT_PUBLIC_SUPABASE_ANON_KEY", "SUPABASE_ANON_KEY"):
        assert name in said
    assert "supabase.database vendor" in said, "the services that lack nothing stand beside it"


def test_its_plan_opens_and_nothing_is_left(platform):
    foretold, _ = forecast(platform)
    before = platform.left()
    done = platform.assay("check", *PLAN, "--workers", "2")
    found = platform.outcomes()
    said = done.stdout[-6000:] + done.stderr[-2000:]
    wrong = {name: event.message for name, event in found.items() if event.outcome in ("missed", "broken")}
    assert not wrong, said
    met = {name for name, event in found.items() if event.outcome == "met"}
    newest = max((platform.folder / "runs").glob("*-*"), key=lambda path: path.name)
    gating = {event.check for event in Evidence(newest).events(CheckCollected) if event.passport.gate}
    assert met & gating == foretold, "the doctor foretells what the run covers"
    assert {
        "database.rls_catalog",
        "database.rls_matrix",
        "database.service_functions_closed",
        "storage.bucket_matrix",
        "storage.files_as_described",
        "realtime.door",
        "realtime.two_people_reconnect",
        "realtime.burst",
        "realtime.cut_mid_send",
        "realtime.same_message_again",
        "realtime.rooms_apart",
        "security.private_routes",
        "security.forged_tokens",
        "security.direct_references",
        "security.hostile_names",
        "security.hostile_contents",
        "security.packed_uploads",
        "security.scanner",
        "security.malformed_requests",
        "security.limits_hold",
        "security.own_role",
        "privacy.exported",
        "privacy.erased",
        "security.extra_fields",
        "storage.place_in_pictures",
        "security.other_origins",
        "security.headers",
    } <= met
    assert not {"realtime.presence", "realtime.replay", "realtime.rate_limit", "realtime.bad_frames"} & met
    assert done.returncode == 0, said
    assert platform.left() == before


def test_init_writes_a_description_that_a_person_has_to_decide(platform, tmp_path):
    variables = (
        (platform.folder / ".env").read_text().replace("TODOS_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    )
    (tmp_path / ".env").write_text(variables)
    (tmp_path / "wrangler.jsonc").write_text('{"r2_buckets": [{"bucket_name": "uploads"}]}')
    before = platform.left()
    done = platform.assay("init", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for table in ("teams", "memberships", "todos", "settings"):
        assert f"may of {table}" in done.stdout
    file = tmp_path / "assay" / "target.toml"
    again = platform.assay("init", at=tmp_path)
    assert again.returncode == 2
    refused = platform.assay("doctor", at=tmp_path)
    assert refused.returncode == 2
    assert "decide is true" in refused.stderr
    text = file.read_text()
    assert 'row = { name = "{tag}", created_by = "{user}" }' in text
    assert 'before.team = { table = "teams"' in text
    file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("decide")))
    assert "#   R2_BUCKET_NAME=uploads" in text
    decided = platform.assay("doctor", "--plan", "own", at=tmp_path)
    assert decided.returncode == 0, decided.stdout + decided.stderr
    assert "table todos" in decided.stdout
    done = platform.assay("check", "own.knows_who", "--plan", "own", at=tmp_path)
    runs = sorted((tmp_path / "assay" / "runs").glob("*-*"))
    found = {event.check: str(event.outcome) for event in Evidence(runs[-1]).events(CheckFinished)}
    assert found == {"own.knows_who": "met"}, done.stdout[-3000:] + done.stderr[-2000:]
    assert (
        'SUPABASE_SERVICE_KEY: "${{ secrets.SUPABASE_SERVICE_KEY }}"'
        in (tmp_path / "assay" / "gate.yml").read_text()
    )
    assert platform.left() == before


PLANTED = {
    "a dropped policy": (
        "database.rls_matrix",
        "drop policy todos_all on public.todos",
        "create policy todos_all on public.todos for all to authenticated "
        "using (app.belongs(team_id)) with check (app.belongs(team_id))",
        "member may select todos, and could not",
    ),
    "a right too many for a member": (
        "database.rls_matrix",
        "create policy too_many on public.teams for delete to authenticated using (app.belongs(id))",
        "drop policy too_many on public.teams",
        "member may not delete teams, and did",
    ),
    "a view past row-level security": (
        "database.rls_matrix",
        "alter view public.open_todos set (security_invoker = false)",
        "alter view public.open_todos set (security_invoker = true)",
        "stranger may not select todos, and did (view open_todos)",
    ),
    "a table that nobody decided on": (
        "database.rls_catalog",
        "create table public.forgotten (id int)",
        "drop table public.forgotten",
        "nobody decided who may touch the table forgotten",
    ),
    "a described table that is gone": (
        "database.rls_catalog",
        "alter table public.todos rename to tasks",
        "alter table public.tasks rename to todos",
        "there is no table todos, which ",
    ),
    "a service's function open to people": (
        "database.service_functions_closed",
        "grant execute on function public.close_all(uuid) to authenticated",
        "revoke execute on function public.close_all(uuid) from authenticated",
        "a person may not call close_all",
    ),
    "a public bucket": (
        "storage.bucket_matrix",
        "update storage.buckets set public = true where id = 'docs'",
        "update storage.buckets set public = false where id = 'docs'",
        "docs is public, not as decided",
    ),
    "a stranger reads objects": (
        "storage.bucket_matrix",
        "create policy docs_open on storage.objects for select to authenticated using (bucket_id = 'docs')",
        "drop policy docs_open on storage.objects",
        "stranger may not read an object of docs, and did",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_in_the_database_is_missed_by_name(platform, name):
    check, plant, mend, says = PLANTED[name]
    platform.sql(plant)
    try:
        event = judged(platform, check)[check]
    finally:
        platform.sql(mend)
    assert event.outcome == "missed", event
    assert says in event.message, event.message


BUILT_IN = {
    "another key": ("storage.files_as_described", "under the key that its upload told"),
    "anybody's file": ("storage.files_as_described", "a stranger does not read somebody's docs"),
    "believes anything": ("security.private_routes", "GET /v2/me refuses a token with another's payload"),
    "no headers": ("security.headers", "nosniff"),
    "loses a line": ("realtime.burst", "delivered to all present"),
}


@pytest.mark.parametrize("fault", BUILT_IN)
def test_what_is_planted_in_its_api_is_missed_by_name(platform, fault):
    check, says = BUILT_IN[fault]
    platform.plant(fault)
    try:
        event = judged(platform, check)[check]
    finally:
        platform.plant()
    assert event.outcome == "missed", event
    assert says in event.message, event.message
