"""The matrix of row-level security, from the project's description: a row of every case, and what each role makes of it.

What a role did is judged by the rows that the witness sees, never by an answer's status: a denied write under
row-level security answers 200 or 204 (PostgREST), a denied read an empty list.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clients.http_port import WireAnswer
from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.description import Description, fill, names_in
from core.description.database import ADMIN, NOBODY, OWNER, STRANGER, Database, RoleRow, Row, Table
from core.errors import Missed, ServiceError
from core.ledger import Ledger
from core.run import Run

SERVICE = "supabase.database"
VERBS = {"C": "insert", "R": "select", "U": "update", "D": "delete"}
ABSENT = ("PGRST205", "42P01")
"""PostgREST's and PostgreSQL's codes for a table that does not exist."""


@dataclass
class Subject:
    """One row of a case as it stands now, and the values that its templates are filled with."""

    name: str
    table: str
    case: Table
    values: dict[str, Any]
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> dict[str, Any]:
        """The columns that name the row, with their values."""
        return {key: self.row.get(key) for key in self.case.keys}

    @property
    def one(self) -> dict[str, str]:
        """The same as PostgREST's filters."""
        return {key: f"eq.{value}" for key, value in self.where.items()}

    def fresh(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """A template filled with a new tag and a new number."""
        word = f"{self.values['tag']}{secrets.token_hex(3)}"
        return dict(fill(template, {**self.values, "tag": word, "number": _number()}))


class Matrix:
    """Prepares the rows and tries the verbs. `findings` holds, in words, whatever a preparation showed to be wrong."""

    def __init__(
        self, run: Run, services: ServiceClients, ledger: Ledger, actor: Callable[[], Actor]
    ) -> None:
        self.run, self.services, self.ledger = run, services, ledger
        self.described: Description = run.target.description
        self.database: Database = self.described.database
        self.rest = services.database.rest
        named = {role for case in self.database.tables.values() for role in case.may}
        between = sorted(named - {OWNER, STRANGER, NOBODY})
        self.people: dict[str, Actor] = {role: actor() for role in (OWNER, STRANGER, *between)}
        self.roles = (NOBODY, STRANGER, *between, OWNER)
        """Those who may least go first."""
        self.findings: list[str] = []
        self.access: dict[str, dict[str, str]] = {}
        """By case and role, the verbs that worked, in the order in which they were tried."""
        self.untried: dict[str, str] = {}
        """Tables of a suggested description that no row could be made for, and why."""

    def token(self, role: str) -> str | None:
        """A role's access token; None for nobody."""
        return self.people[role].access_token if role in self.people else None

    # -- preparing -------------------------------------------------------------------------------------------

    def subjects(self, by: str = "") -> Iterator[Subject]:
        """A row of every case, with what it needs before it and what its roles have; `by` names who makes it."""
        for name, case in self.database.tables.items():
            if by and case.by != by:
                continue
            try:
                yield self._subject(name, case)
            except (Missed, ServiceError) as error:
                if not self.described.suggested:
                    raise
                self.untried[name] = str(error)

    def _subject(self, name: str, case: Table) -> Subject:
        values: dict[str, Any] = {"tag": self.run.tag(), "number": _number()}
        values["user"] = self.people[OWNER].id
        values |= {f"{role}.id": person.id for role, person in self.people.items()}
        for before, row in case.before.items():
            made = self._insert(
                row.table, row.row, fill(row.row, values), row.by, self._line(f"{name}.before.{before}")
            )
            values |= {f"{before}.{column}": value for column, value in made.items()}
            values[f"{before}.id"] = made.get(row.key)
        self._give_roles(case, values, known=True)
        subject = Subject(name, self.database.table_of(name), case, values)
        self._make(subject)
        return subject

    def _give_roles(self, case: Table, values: Mapping[str, Any], *, known: bool) -> None:
        """Gives the roles of a case what they have: what can be given before its row is there, or what speaks of it."""
        for role in sorted(set(case.may) & set(self.database.roles)):
            for step in self.database.roles[role]:
                own = {
                    name for name in names_in(step.row) if case.called and name.startswith(f"{case.called}.")
                }
                if known is not bool(own):
                    self._step(step, role, values)

    def _step(self, step: RoleRow, role: str, values: Mapping[str, Any]) -> None:
        where = self.described.where(f"database.roles.{role}")
        self._insert(step.insert, step.row, fill(step.row, values), step.by, where)

    def _make(self, subject: Subject) -> None:
        """Puts the subject's row there, or finds it where the platform makes it; then gives roles what speaks of it."""
        self._put(subject)
        case, row = subject.case, subject.row
        if case.called:
            own = {f"{case.called}.{column}": value for column, value in row.items()}
            self._give_roles(case, {**subject.values, **own}, known=False)

    def _put(self, subject: Subject) -> None:
        case, where = subject.case, self._line(subject.name)
        if case.existing is not None:
            wanted = fill(case.existing, subject.values)
            found = self.services.database.witness_rows(subject.table, **wanted)
            if not found:
                raise Missed(
                    f"the platform makes the row of {subject.name} that {where} describes",
                    expected=f"a row where {wanted}",
                    saw="none",
                    service=SERVICE,
                )
            subject.row = dict(found[0])
            return
        template = case.row or {}
        row = subject.fresh(template)
        if case.by == OWNER and "C" in case.may[OWNER]:
            try:
                subject.row = self._insert(subject.table, template, row, OWNER, where)
                return
            except ServiceError as error:
                self.findings.append(f"owner may insert {subject.name}, and could not: {error.what}")
        by = ADMIN if case.by == OWNER else case.by
        subject.row = self._insert(subject.table, template, row, by, where)

    def _insert(
        self, table: str, template: Mapping[str, Any], row: dict[str, Any], by: str, where: str
    ) -> dict[str, Any]:
        """Inserts a row, planned in the ledger, and returns it as the witness sees it."""
        known = _marks(template, row)
        planned = self.ledger.plan("database.row", table=table, match=known)
        if by == ADMIN:
            answer = self.services.database.as_admin("POST", f"/{table}", body=row)
        else:
            answer = self.rest("POST", f"/{table}", token=self.token(by), body=row, prefer="return=minimal")
        self._exists(answer, table, where)
        if answer.status != 201:
            raise ServiceError(SERVICE, f"{where}: {by} could not put a row into {table}: {answer.said()}")
        planned.confirm(made=True)
        found = self.services.database.witness_rows(table, **known)
        if not found:
            raise ServiceError(SERVICE, f"{where}: the row put into {table} is not there")
        return dict(found[-1])

    def _exists(self, answer: WireAnswer, table: str, where: str) -> None:
        if answer.code in ABSENT:
            raise Missed(
                f"the table {table} that {where} describes exists", saw=answer.said(), service=SERVICE
            )

    def _line(self, name: str) -> str:
        return self.described.where(f"database.tables.{name}") or f"[database.tables.{name}]"

    # -- trying ----------------------------------------------------------------------------------------------

    def attempt(self, subject: Subject, role: str, verb: str) -> list[str]:
        """The ways by which a role did this with the row; none when it could not."""
        did = self._attempt(subject, role, verb)
        letters = self.access.setdefault(subject.name, {}).setdefault(role, "")
        self.access[subject.name][role] = letters + (verb if did else "")
        return did

    def _attempt(self, subject: Subject, role: str, verb: str) -> list[str]:
        try:
            match verb:
                case "R":
                    return [way for way, saw in self._reads(subject, role).items() if saw]
                case "U":
                    return self._changes(subject, role)
                case "D":
                    return self._deletes(subject, role)
                case _:
                    return self._adds(subject, role)
        except (Missed, ServiceError) as error:
            if not self.described.suggested:
                raise
            self.untried[f"{subject.name}, {VERBS[verb]} by {role}"] = str(error)
            return []

    def ways_to_read(self, subject: Subject) -> list[str]:
        """The ways by which whoever may read the row must see it."""
        return ["select", "count", *(f"view {view}" for view in subject.case.views)]

    def _reads(self, subject: Subject, role: str) -> dict[str, bool]:
        token, keys = self.token(role), ",".join(subject.case.keys)
        saw = {"select": self._shows(subject.table, subject, token)}
        counted = self.rest(
            "HEAD",
            f"/{subject.table}",
            token=token,
            params={"select": keys, **subject.one},
            prefer="count=exact",
        )
        total = counted.headers.get("content-range", "").rpartition("/")[2]
        saw["count"] = counted.status in (200, 206) and total.isdigit() and int(total) > 0
        for view in subject.case.views:
            saw[f"view {view}"] = self._shows(view, subject, token)
        for name, before in subject.case.before.items():
            if before.table != subject.table:
                saw[f"embedded in {before.table}"] = self._embedded(subject, before, name, token)
        return saw

    def _shows(self, source: str, subject: Subject, token: str | None) -> bool:
        params = {"select": ",".join(subject.case.keys), **subject.one}
        answer = self.rest("GET", f"/{source}", token=token, params=params)
        self._exists(answer, source, self._line(subject.name))
        return answer.status == 200 and len(answer.json(list)) > 0

    def _embedded(self, subject: Subject, before: Row, name: str, token: str | None) -> bool:
        """Whether the row is seen through the row before it (`teams?select=id,todos(id)`)."""
        keys = ",".join(subject.case.keys)
        params = {
            "select": f"{before.key},{subject.table}({keys})",
            before.key: f"eq.{subject.values[f'{name}.{before.key}']}",
        }
        answer = self.rest("GET", f"/{before.table}", token=token, params=params)
        if answer.status != 200:
            return False
        inside = [row.get(subject.table) for row in answer.json(list)]
        rows = [entry for held in inside for entry in (held if isinstance(held, list) else [held]) if entry]
        return any(all(entry.get(k) == v for k, v in subject.where.items()) for entry in rows)

    def _stored(self, subject: Subject) -> list[dict[str, Any]]:
        return list(self.services.database.witness_rows(subject.table, **subject.where))

    def _changes(self, subject: Subject, role: str) -> list[str]:
        change = subject.fresh(_change(subject.case))
        if not change:
            return []
        done, token = [], self.token(role)
        before = self._stored(subject)
        self.rest(
            "PATCH",
            f"/{subject.table}",
            token=token,
            params=subject.one,
            body=change,
            prefer="return=minimal",
        )
        if self._stored(subject) != before:
            done.append("update")
            self._restore(subject, before, change)
        if "U" not in subject.case.may.get(role, "") and subject.case.row is not None:
            before = self._stored(subject)
            whole = {**subject.fresh(subject.case.row), **subject.where, **change}
            self.rest(
                "POST",
                f"/{subject.table}",
                token=token,
                params={"on_conflict": ",".join(subject.case.keys)},
                body=whole,
                prefer="resolution=merge-duplicates,return=minimal",
            )
            if self._stored(subject) != before:
                done.append("upsert")
                self._restore(subject, before, change)
        return done

    def _restore(self, subject: Subject, before: list[dict[str, Any]], change: Mapping[str, Any]) -> None:
        columns = {column: before[0].get(column) for column in change} if before else {}
        self.services.database.as_admin("PATCH", f"/{subject.table}", params=subject.one, body=columns)

    def _deletes(self, subject: Subject, role: str) -> list[str]:
        before = self._stored(subject)
        self.rest(
            "DELETE", f"/{subject.table}", token=self.token(role), params=subject.one, prefer="return=minimal"
        )
        if not before or len(self._stored(subject)) >= len(before):
            return []
        self._make(subject)
        return ["delete"]

    def _adds(self, subject: Subject, role: str) -> list[str]:
        """Adds a row like the owner's. Where no two such rows can be, the subject makes way first."""
        template = subject.case.row
        if template is None:
            return []
        unique = bool({"tag", "number"} & names_in(template))
        if not unique:
            self.services.database.as_admin("DELETE", f"/{subject.table}", params=subject.one)
        row = subject.fresh(template)
        known = _marks(template, row)
        planned = self.ledger.plan("database.row", table=subject.table, match=known)
        answer = self.rest(
            "POST", f"/{subject.table}", token=self.token(role), body=row, prefer="return=minimal"
        )
        if answer.status == 201:
            planned.confirm(made=True)
        found = self.services.database.witness_rows(subject.table, **known)
        if not unique and found:
            subject.row = dict(found[-1])
        elif not unique:
            self._make(subject)
        return ["insert"] if found else []


def _change(case: Table) -> Mapping[str, Any]:
    """How the row is changed; where nobody said, by its first text that carries the tag."""
    if case.change is not None:
        return case.change
    for column, value in (case.row or {}).items():
        if isinstance(value, str) and "{tag}" in value:
            return {column: f"{value} changed"}
    return {}


def tries(case: Table, verb: str) -> bool:
    """Whether the description says enough to try a verb: a change for an update, a row for an insert."""
    return bool(_change(case)) if verb == "U" else verb != "C" or case.row is not None


def _marks(template: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What shows that a row is ours: the columns whose values were filled in (a tag, an id of ours)."""
    return {
        name: row[name]
        for name, value in template.items()
        if names_in(value) and isinstance(row[name], str | int)
    }


def _number() -> int:
    return 2 + secrets.randbelow(2**30)
