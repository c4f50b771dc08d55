"""What `assay init` writes beside target.toml: a plan, a check, a load and a workflow, to begin with and to change."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from core.run import ROOT
from core.service import Variable

WORKFLOW = ROOT / "deploy" / "ci" / "workflow.yml"
PLAN = """title = "{name}: every check that applies"
budget = "10m"
checks = "all"
"""
CHECK = '''"""A check of your own: what it may use stands in docs/adding.md."""

from core.passport import check


@check(
    "own.knows_who",
    "Auth tells a person who they are, and the admin API says the same",
    requirement="P1.2",  # of requirements.toml: your own beside target.toml, else the shipped one
    service="supabase.auth",
    needs="auth.email",
)
def test_knows_who(person, services, witness):
    answered = person.supabase.auth.get_user().user
    assert answered.id == person.id
    kept = services.auth.admin.get_user_by_id(person.id).user
    witness("the admin API", "the same person")
    assert kept.email == answered.email
'''
LOAD = '''"""A load of your own: `assay load reading --users 5`, once [permit] actions of target.toml has "load"."""

from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure
from loadprofiles.users.platform_user import PlatformUser
from locust import task

NEEDS = Needs(uses=("auth.email", "database.rest"), people=5)


class Reader(PlatformUser, ClosedUser):
    def on_start(self):
        self.rows = self.port(Measure("reading"), lambda answer: None if answer.status == 200 else "refused")

    @task
    def read(self):
        headers = self.adapter.rest_headers(self.person.token)
        self.rows.request("GET", f"{self.adapter.supabase}/rest/v1/{TABLE}?select=*&limit=20", headers=headers)
'''


def files(name: str, tables: Collection[str], variables: Collection[Variable]) -> Iterator[tuple[str, str]]:
    """(path in the project's folder, text) of each; the load reads the first of the `tables`."""
    yield "plans/own.toml", PLAN.format(name=name)
    yield "checks/test_own.py", CHECK
    if tables:
        yield "loads/reading.py", LOAD.replace("{TABLE}", next(iter(tables)))
    yield "gate.yml", workflow(variables)
    yield ".gitignore", ".env\nruns/\n__pycache__/\n"


def workflow(variables: Collection[Variable]) -> str:
    """GitHub's workflow that runs the gate, with what the target needs: secrets, and variables for the rest."""
    text = WORKFLOW.read_text(encoding="utf-8")
    if not variables:
        return text
    entries = [
        f'          {v.name}: "${{{{ {"secrets" if v.secret else "vars"}.{v.name} }}}}"' for v in variables
    ]
    return text[: text.index("        env:")] + "\n".join(["        env:", *entries, ""])
