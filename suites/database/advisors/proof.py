"""What an advisor finds, tried: whether it is open, or suspicious by the catalog alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from clients.catalog import Catalog, Function
from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.description.database import NOBODY, OWNER, STRANGER
from core.errors import Missed, ServiceError
from core.ledger import Ledger
from core.run import Run
from suites.database.advisors.finding import Finding
from suites.database.matrix import VERBS, Matrix, Subject

_READ = ("rls_disabled_in_public", "policy_exists_rls_disabled", "sensitive_columns_exposed")
_SHOWN = ("security_definer_view", "materialized_view_in_api", "foreign_table_in_api", "auth_users_exposed")
_LETTERS = {"UPDATE": "U", "DELETE": "D", "INSERT": "C", "SELECT": "R", "ALL": "RUDC"}


class Proof:
    """Tries findings as a visitor and as a stranger, with a row of every described table there to be found."""

    def __init__(
        self,
        run: Run,
        services: ServiceClients,
        ledger: Ledger,
        actor: Callable[[], Actor],
        catalog: Catalog,
    ) -> None:
        self.run, self.services, self.ledger, self.catalog = run, services, ledger, catalog
        self._actor = actor

    @cached_property
    def matrix(self) -> Matrix:
        """Owner, stranger and visitor, made when something is first tried."""
        return Matrix(self.run, self.services, self.ledger, self._actor)

    @cached_property
    def subjects(self) -> dict[str, Subject]:
        """A row of each described table, by the table's full name, as far as one could be made."""
        found: dict[str, Subject] = {}
        subjects = self.matrix.subjects()
        try:
            for subject in subjects:
                found.setdefault(f"public.{subject.table}", subject)
        except (Missed, ServiceError):
            return found  # the matrix's own check tells of it
        return found

    def of(self, finding: Finding) -> str:
        """How it was shown to be open, in words; '' where it could not be shown."""
        try:
            return "; ".join(self._ways(finding))
        except (Missed, ServiceError):
            return ""

    def _ways(self, finding: Finding) -> Iterator[str]:
        match finding.lint:
            case lint if lint in _READ:
                yield from self._verbs(finding.on, "R")
            case lint if lint in _SHOWN:
                yield from self._shown(finding.on)
            case "rls_policy_always_true" | "every_row_is_read":
                policy = next(p for p in self.catalog.by_name[finding.on].policies if p.name == finding.part)
                yield from self._verbs(finding.on, _LETTERS[policy.command])
            case "policy_without_check":
                yield from self._given_away(finding.on)
            case lint if lint.endswith("security_definer_function_executable"):
                function = next(f for f in self.catalog.functions if f.full == finding.on)
                yield from self._called(function, NOBODY if lint.startswith("anon") else STRANGER)

    def _verbs(self, table: str, verbs: str) -> Iterator[str]:
        subject = self.subjects.get(table)
        for role in (NOBODY, STRANGER) if subject else ():
            assert subject is not None
            did = [VERBS[verb] for verb in verbs if self.matrix.attempt(subject, role, verb)]
            if did:
                yield f"{role} did {', '.join(did)}"

    def _shown(self, view: str) -> Iterator[str]:
        assert self.subjects is not None  # rows are made before they are looked for
        schema, _, name = view.partition(".")
        for role in (NOBODY, STRANGER):
            answer = self.services.database.rest(
                "GET",
                f"/{name}",
                token=self.matrix.token(role),
                params={"limit": 1},
                headers={"Accept-Profile": schema},
            )
            if answer.status == 200 and answer.json(list):
                yield f"{role} reads rows through it"

    def _given_away(self, table: str) -> Iterator[str]:
        subject = self.subjects.get(table)
        if subject is None:
            return
        stranger = self.matrix.people[STRANGER].id
        mine = [column for column, value in (subject.case.row or {}).items() if value == "{user}"]
        for role in (OWNER, STRANGER):
            for column in mine:
                before = subject.row.get(column)
                token, params = self.matrix.token(role), subject.one
                body = {column: stranger}
                self.services.database.rest(
                    "PATCH", f"/{subject.table}", token=token, params=params, body=body
                )
                stored = self.services.database.witness_rows(subject.table, **subject.where)
                if stored and stored[0].get(column) == stranger:
                    yield f"{role} gave the row to another person ({column})"
                    back = {column: before}
                    self.services.database.as_admin("PATCH", f"/{subject.table}", params=params, body=back)

    def _called(self, function: Function, role: str) -> Iterator[str]:
        """Calls it with nulls; on a live target only what PostgreSQL knows to read."""
        if function.of_trigger or not (self.run.target.embedded or function.only_reads):
            return
        body = dict.fromkeys(function.names[: function.least])
        answer = self.services.database.rest(
            "POST",
            f"/rpc/{function.name}",
            token=self.matrix.token(role),
            body=body,
            headers={"Content-Profile": function.schema_},
        )
        if answer.status in (200, 204):
            yield f"{role} called it (answer {answer.status})"
        elif answer.status == 400 and answer.code and answer.code not in ("42501", "PGRST203"):
            yield f"{role} called it, and it ran until {answer.code}"
