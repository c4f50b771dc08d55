"""Secrets of every kind and in every form, written by checks, a browser flow and a load to all that a run keeps and shows:
found in no file that is left, unpacked, nor on the terminal."""

import html
import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from urllib.parse import quote

import pytest

from tests.clients.strange import environment
from tests.runner.planted_secrets import SESSION, forms, planted, project, traces
from tests.runner.recorders import Recorders, http_answer
from tests.runner.sandbox import ROOT


def every_part(folder):
    """(name, bytes) of every file, of archives' members and of what PDFs pack."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield path.name, data
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path.name}!{name}", archive.read(name)) for name in archive.namelist())
            if path.suffix == ".pdf":
                yield from ((f"{path.name} text", text) for text in pdf_texts(data))


def pdf_texts(data):
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            plain = zlib.decompress(stream)
        except zlib.error:
            continue
        yield plain
        yield b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", plain))


def answering(spoken, handed):
    """A platform whose page shows all secrets and is handed a session, and an Auth that hands one out."""
    person = {"id": "00000000-0000-4000-8000-000000000001", "email": "a@b.example"}
    session = {name: value for name, value in handed.items() if name != "sig"}
    session |= {
        "user": person,
        "expires_in": 3600,
        "expires_at": 4_000_000_000,
        "token_type": "bearer",
        **person,
    }

    def texts(but=""):
        listed = [form for value in spoken.values() if value != but for form in forms(value)]
        return "".join(f"<p>{html.escape(form)}</p>" for form in listed)

    asked = json.dumps([f"/echo?x={quote(value, safe='')}" for value in spoken.values()])
    sent = json.dumps({name: handed[name] for name in ("auth_code", "code_verifier", "token_hash")})
    page = f"""<!doctype html><title>x</title>{texts()}<script>
      const all = document.body.innerText;
      console.error(all); localStorage.all = all;
      const told = {asked}.map(url => fetch(url));
      told.push(fetch("/auth/v1/token", {{method: "POST", body: {json.dumps(sent)}}}).then(a => a.text())
        .then(text => {{ console.error(text); localStorage.session = text; document.body.append(text); }}));
      told.push(fetch("/link").then(a => a.text()).then(text => console.error(text)));
      Promise.allSettled(told).then(() => {{ document.title = "told"; }});
    </script>"""

    def answer(request):
        path = request.path.partition("?")[0]
        if path == "/leak":
            return http_answer(200, page.encode(), kind="text/html; charset=utf-8")
        if path == "/leak/load":
            return http_answer(200, texts(handed["sig"]).encode(), kind="text/html; charset=utf-8")
        if path == "/link":
            link = {"url": f"http://127.0.0.1/api/files/1/content?exp=1&sig={handed['sig']}"}
            return http_answer(200, json.dumps(link).encode())
        if "/admin/users" in path and request.method == "GET":
            return http_answer(200, b'{"users": []}')
        return http_answer(200, json.dumps(session).encode())

    return answer


@pytest.mark.timeout(1500)
def test_no_secret_in_any_form_is_left_anywhere(tmp_path, record_property):
    variables, env, handed = planted()
    spoken = {**variables, **env, **handed}
    assert len(spoken) >= 40
    record_property("secrets", len(spoken))
    place = environment(9)
    place |= {name: value for name, value in variables.items() if name in place}
    password = quote(variables["DB_PASSWORD"], safe="")
    place["SUPABASE_DB_URL"] = f"postgresql://postgres:{password}@127.0.0.1:9/x"
    recorders = Recorders(place, answering=answering(spoken, handed))
    project(tmp_path / "project", spoken, env, handed)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
    own = {"ASSAY_RUNS": str(tmp_path / "runs"), "ASSAY_HISTORY": str(tmp_path / "runs" / "history.sqlite")}
    command = [sys.executable, str(ROOT / "cli.py"), "--project", str(tmp_path / "project"), "validate"]
    done = subprocess.run(
        [*command, "--plan", "planted", "--target", "live", "--verbose", "--workers", "1"],
        cwd=tmp_path,
        env={**{k: v for k, v in clean.items() if k not in place}, **recorders.variables, **own},
        capture_output=True,
        timeout=1200,
    )
    recorders.close()
    parts = [*every_part(tmp_path / "runs"), ("terminal", done.stdout), ("terminal's errors", done.stderr)]
    names = {name for name, _ in parts}
    assert {"index.html", "terminal", "summary.pdf", "own-checks.log", "own-browser.log"} <= names, (
        done.stdout[-3000:]
    )
    assert sum("trace.zip!" in name for name in names) > 5
    whole = b"".join(data for _, data in parts)
    for word in (b"planted.flow", b"planted.session", b"tellers", b"told ***"):
        assert word in whole, done.stdout[-3000:]
    found = {}
    number = 0
    for name, value in spoken.items():
        for trace in set(traces(value)):
            number += 1
            if trace in whole:
                where = sorted({part for part, data in parts if trace in data})
                found.setdefault(name, []).append((trace, where))
    record_property("cases", number)
    record_property("files", len(parts))
    assert found == {}
    assert set(SESSION) <= set(spoken)
