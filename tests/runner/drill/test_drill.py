"""The drill itself, once, on a stack of its own: faults of several kinds are planted together, seen, and taken out again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from core.run import ROOT

HEAD = 'title = "t"\nrequirement = "P1.3"\nservice = "supabase.database"\nwords = "w"\nsource = "s"\n'
CATALOGUE = {
    "caught-by-sql": 'caught_by = ["database.post_values"]\nsays = "defaults"\n[[plant]]\n'
    "sql = \"alter table public.posts alter column status set default 'published'\"\n"
    "restore = \"alter table public.posts alter column status set default 'draft'\"\n",
    "caught-by-function": 'caught_by = ["database.conflicting_edits"]\n[[plant]]\nfunction = "public.touch()"\n'
    'find = "old.version + 1"\nreplace = "old.version"\n',
    "caught-by-source": 'caught_by = ["reality.health"]\n[[plant]]\nsource = "platform/worker/health.ts"\n'
    "find = 'r2: { core: true, ask: () => env.R2.head(\"health\") },'\nreplace = ''\n",
    "caught-by-proxy": 'caught_by = ["database.pages_without_gaps"]\n[[plant]]\nproxy = "supabase"\n'
    'match = { path = "limit=1$", headers = { prefer = "count=exact" } }\nanswer = { set = { content-range = "0-0/24" } }\n',
    "misled": 'caught_by = ["database.publish_all_or_none"]\nsays = "nobody says this"\n[[plant]]\n'
    'function = "public.publish_posts(uuid[])"\nfind = "raise exception"\nreplace = "raise notice"\n',
    "slipped": 'caught_by = ["database.upsert_race"]\n[[plant]]\nsql = "select 1"\nrestore = "select 1"\n',
    "unplantable": 'caught_by = ["database.audit_immutable"]\n[[plant]]\nsql = "drop table nothing"\nrestore = "select 1"\n',
    "quiet": 'healthy = true\nwatched_by = ["database.upsert_race"]\n[[plant]]\nproxy = "supabase"\n'
    'answer = { set = { x-region = "eu" } }\n',
}


@pytest.mark.timeout(600)
def test_a_small_drill(tmp_path):
    folder = tmp_path / "defects"
    folder.mkdir()
    for name, text in CATALOGUE.items():
        (folder / f"{name}.toml").write_text(HEAD + text)
    environment = {"ASSAY_STATE": str(tmp_path / "state"), "ASSAY_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(
        [sys.executable, "cli.py", "drill", "--catalogue", str(folder)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=580,
    )  # fmt: skip
    [drill] = (tmp_path / "runs").glob("drill-*")
    found = json.loads((drill / "drill.json").read_text())
    outcomes = {d["id"]: d["outcome"] for d in found["defects"]}
    due = {name: name.split("-")[0] for name in CATALOGUE} | {"unplantable": "broken"}
    assert outcomes == due, done.stderr[-3000:]
    assert (found["caught"], found["faults"], found["counts"]["quiet"]) == (4, 6, 1)
    assert "database.post_values" not in found["toothless"]
    assert "database.upsert_race" in found["toothless"]
    assert "transport.tls" not in found["toothless"]  # nothing here is reached by TLS
    assert "4 of 6 defects were caught" in done.stdout
    assert "database.post_values" in (drill / "drill.html").read_text()
    assert done.returncode == 1
