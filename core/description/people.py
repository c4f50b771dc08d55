"""`[people]`: what Auth is set to, when a new person is complete, and what is removed before a person."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from core.description.base import Section, allow, names_in


class Ready(Section):
    """A row that the platform makes for each new person: `table`, and its column that holds the person's id."""

    table: str
    column: str = "id"


class PersonUndo(Section):
    """One thing that goes before a test person does: rows by a column, or objects by a prefix of their keys."""

    table: str = ""
    """`schema.table` where it lies in another schema than the first; one that the API does not expose goes by SQL."""
    column: str = ""
    r2: str = ""
    storage: str = ""
    prefix: str = ""

    @model_validator(mode="after")
    def _one(self) -> PersonUndo:
        kinds = [name for name in ("table", "r2", "storage") if getattr(self, name)]
        if len(kinds) != 1:
            raise ValueError("name one of table, r2 and storage in each entry of undo")
        if bool(self.table) != bool(self.column) or bool(self.storage) != bool(self.prefix):
            raise ValueError("a table goes with a column, a storage bucket with a prefix")
        for template in (self.r2, self.prefix):
            allow(names_in(template), ("user",), "undo")
        if (self.r2 or self.prefix) and "{user}" not in (self.r2 or self.prefix):
            raise ValueError("a prefix without {user} would remove what belongs to others")
        return self


class People(Section):
    """What Auth is set to, and how test people come and go."""

    register_: bool = Field(default=True, alias="register")
    confirm: Literal["mail", "none"] = "mail"
    email_change: Literal["both addresses", "new address"] = "both addresses"
    current_password: bool = False
    """Whether the current password is demanded for a new one."""
    captcha: bool = False
    """Whether a CAPTCHA stands before sign-up, log-in and what sends a mail; test people pass it by the secret key."""
    rotation: bool = True
    """Whether a refresh token is spent by its use."""
    password_minimum: int = Field(default=6, ge=1)
    """Letters that a password must have at least."""
    form: bool = True
    """Whether a test can log in by the page's own form: not past a CAPTCHA."""
    confirmed_by_mail: bool = True
    """Whether a new person's address is confirmed by mail: as `confirm` says."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Templates of the metadata that a new person registers with; may use {username}."""
    ready: Ready | None = None
    undo: tuple[PersonUndo, ...] = ()

    @model_validator(mode="after")
    def _follow(self) -> People:
        """`form` follows from `captcha`, `confirmed_by_mail` from `confirm`."""
        follows = {"form": not self.captcha, "confirmed_by_mail": self.confirm == "mail"}
        for name, value in follows.items():
            if name in self.model_fields_set and getattr(self, name) and not value:
                raise ValueError(f"{name}: true, and captcha or confirm says otherwise")
            if not value:
                object.__setattr__(self, name, False)  # frozen from here on
        return self

    @model_validator(mode="after")
    def _names(self) -> People:
        allow(names_in(self.metadata), ("username",), "metadata")
        return self
