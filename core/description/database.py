"""`[database]`: every table with a row of it, a change, and who may do what; roles, views and functions."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from core.description.base import Section, allow, names_in

OWNER, STRANGER, NOBODY = "owner", "stranger", "nobody"
ALWAYS = (OWNER, STRANGER, NOBODY)
"""Whose row it is, another signed-in person, and a visitor who is not signed in."""
ADMIN = "admin"
"""The secret key, which row-level security does not bind; prepares and never counts as a role."""


class Row(Section):
    """A row that something else needs: made by `as` (the owner, or `admin`: the secret key)."""

    table: str
    row: dict[str, Any] = Field(default_factory=dict)
    by: str = Field(default=OWNER, alias="as")
    key: str = "id"


class RoleRow(Section):
    """One row that gives a role what it has, such as a membership."""

    by: str = Field(default=ADMIN, alias="as")
    insert: str
    row: dict[str, Any]


class Decided(Section):
    """What the catalog holds of a table, decided in full: policies by name, and privileges of the API's roles.

    `insert` and `update` are the columns that people may give and change.
    """

    policies: tuple[str, ...] = ()
    anon: tuple[str, ...] = ()
    authenticated: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()


class Table(Section):
    """One case of a table: a row, how it is changed, and what each role `may` do with it (letters of CRUD).

    `table` names the table where the case is called otherwise (a draft and a published post are two cases of one
    table). `existing` finds the row by these columns where the platform makes it. `by` is who makes it: the
    owner, or `admin` where people may not. `decide` marks a suggestion of `assay init` that nobody looked at.
    """

    table: str = ""
    before: dict[str, Row] = Field(default_factory=dict)
    row: dict[str, Any] | None = None
    existing: dict[str, Any] | None = None
    by: str = Field(default=OWNER, alias="as")
    key: str | tuple[str, ...] = "id"
    change: dict[str, Any] | None = None
    may: dict[str, str]
    views: tuple[str, ...] = ()
    called: str = ""
    """The row's own name, by which the steps of a role may speak of it (`{team.id}` where it is itself the team)."""
    catalog: Decided | None = None
    decide: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name one row."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @field_validator("may")
    @classmethod
    def _letters(cls, may: dict[str, str]) -> dict[str, str]:
        for role, verbs in may.items():
            if strange := sorted(set(verbs) - set("CRUD")):
                raise ValueError(f'may.{role} has {strange[0]!r}; write letters of "CRUD", or ""')
            if len(set(verbs)) != len(verbs):
                raise ValueError(f"may.{role} names a letter twice")
        return may

    @model_validator(mode="after")
    def _decided(self) -> Table:
        if self.decide:
            raise ValueError("decide is true: look at `may`, correct it, then remove the mark")
        lacking = [role for role in ALWAYS if role not in self.may]
        if lacking:
            raise ValueError(
                f'may says nothing of {", ".join(lacking)}; write {lacking[0]} = "" if they may nothing'
            )
        return self


class Functions(Section):
    """Functions that the API's roles may call; `closed` are tried by name and must be refused to both."""

    anon: tuple[str, ...] = ()
    authenticated: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _no_contradiction(self) -> Functions:
        both = sorted(set(self.closed) & {*self.anon, *self.authenticated})
        if both:
            raise ValueError(f"closed: '{both[0]}' is closed and open at once")
        return self


class Accepted(Section):
    """A finding of an advisor that was decided to stay: the lint's name, on what (`public.counts`), and why."""

    lint: str
    on: str
    reason: str = Field(min_length=1)


class Database(Section):
    """The public schema. A table that is neither described nor ignored fails: nobody decided on it."""

    probe: str = ""
    ignore: tuple[str, ...] = ()
    functions: Functions | None = None
    accepted: tuple[Accepted, ...] = ()
    roles: dict[str, tuple[RoleRow, ...]] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Database:
        for role in self.roles:
            if role in (*ALWAYS, ADMIN):
                raise ValueError(f"roles: '{role}' has a meaning already; give the role another name")
        known = {*ALWAYS, *self.roles}
        for name, table in self.tables.items():
            if table.table and not table.table.isidentifier():
                raise ValueError(f"tables.{name}.table: {table.table!r} is no table's name")
            for role in table.may:
                if role not in known:
                    raise ValueError(
                        f"tables.{name}.may: there is no role '{role}'; known are {', '.join(sorted(known))}"
                    )
            self._names(name, table)
        both = sorted({self.table_of(name) for name in self.tables} & set(self.ignore))
        if both:
            raise ValueError(f"ignore: '{both[0]}' is described and ignored at once")
        return self

    def _names(self, name: str, table: Table) -> None:
        people = {"user", "tag", "number", *(f"{role}.id" for role in (*ALWAYS[:2], *self.roles))}
        known = set(people)
        for before, row in table.before.items():
            allow(names_in(row.row), known, f"tables.{name}.before.{before}")
            known |= {f"{before}.id", f"{before}.{row.key}", *(f"{before}.{c}" for c in row.row)}
        for what in ("row", "existing", "change"):
            allow(names_in(getattr(table, what) or {}), known, f"tables.{name}.{what}")
        for role in set(table.may) - set(ALWAYS):
            own = (
                {f"{table.called}.{c}" for c in ("id", *table.keys, *(table.row or {}))}
                if table.called
                else set()
            )
            for step in self.roles[role]:
                allow(names_in(step.row), known | own, f"roles.{role}, which tables.{name}.may names,")

    def table_of(self, name: str) -> str:
        """The table that a case is about."""
        return self.tables[name].table or name

    def cases(self, table: str) -> dict[str, Table]:
        """The cases of one table, by name."""
        return {name: case for name, case in self.tables.items() if self.table_of(name) == table}

    @property
    def described(self) -> tuple[str, ...]:
        """Every table that a case is about, once."""
        return tuple(dict.fromkeys(self.table_of(name) for name in self.tables))
