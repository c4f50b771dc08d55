"""`[storage]`: the buckets of Supabase Storage, and who may do what with an object."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from core.description.base import Section, Size, allow, names_in
from core.description.database import ALWAYS


class Bucket(Section):
    """One bucket: the key and type of an object that its owner might put there, and what each role `may` do.

    `by` is who puts the object: the owner, or `admin` (the secret key) where people may not. `refuses` are types
    that the bucket must not take.
    """

    key: str
    type: str = "application/octet-stream"
    limit: Size | None = None
    public: bool = False
    by: str = Field(default="owner", alias="as", pattern="^(owner|admin)$")
    refuses: tuple[str, ...] = ()
    may: dict[str, str]
    decide: bool = False

    @field_validator("may")
    @classmethod
    def _letters(cls, may: dict[str, str]) -> dict[str, str]:
        for role in ALWAYS:
            if role not in may:
                raise ValueError(f'may says nothing of {role}; write {role} = "" if they may nothing')
        for role, verbs in may.items():
            if role not in ALWAYS:
                raise ValueError(f"may: a bucket knows {', '.join(ALWAYS)}, not '{role}'")
            if strange := sorted(set(verbs) - set("CRUD")):
                raise ValueError(f'may.{role} has {strange[0]!r}; write letters of "CRUD", or ""')
        return may

    @model_validator(mode="after")
    def _consistent(self) -> Bucket:
        if self.decide:
            raise ValueError("decide is true: look at `may`, correct it, then remove the mark")
        allow(names_in(self.key), ("user", "tag"), "key")
        if "{tag}" not in self.key:
            raise ValueError("key: without {tag} the test's object could be somebody's own")
        if self.by == "owner" and "C" not in self.may["owner"]:
            raise ValueError('as: the owner puts the object, and may.owner has no "C"; write as = "admin"')
        return self


class Storage(Section):
    """The buckets by name."""

    buckets: dict[str, Bucket] = Field(default_factory=dict)
