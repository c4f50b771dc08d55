"""`[platform]`: the platform's own API and pages: version, health, whose token it is, and its kinds of files."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from core.description.base import Path, Route, Section, Size, Where, allow_names

_STORE = re.compile(r"r2|storage:[\w.-]+")
FILE_NAMES = ("name", "folder", "size", "type", "sha256", "tag", "user")
"""What the templates of an upload may use."""


def known_store(store: str) -> str:
    """Raises ValueError unless the text names a store."""
    if not _STORE.fullmatch(store):
        raise ValueError(f'{store!r} is no store; write "r2" or "storage:<bucket>"')
    return store


class Version(Section):
    """Where the deployed version is told, and where in the answer it stands."""

    path: Path
    field: Where = "version"


class HealthSection(Section):
    """Where the platform tells how it is; `well` are values that its answer holds when all is well."""

    path: Path
    well: dict[str, Any] = Field(default_factory=dict)
    bearable: dict[str, Any] = Field(default_factory=dict)
    """Values with which the platform still serves people, though a service that they can do without is away."""
    services: Where = ""


class WhoAmI(Section):
    """A person's own answer: 200 and their id for their token, 401 for nobody and for a forged one."""

    path: Path
    id: Where = "id"
    email: Where = ""


class Refusal(Section):
    """Where an error's words stand; empty: the platform tells none."""

    code: Where = ""
    message: Where = ""
    details: Where = ""


class Pages(Section):
    """Paths of web pages, by who may open them."""

    public: tuple[Path, ...] = ()
    signed_in: tuple[Path, ...] = ()
    configuration: tuple[Path, ...] = ()
    """What anybody may read beside pages: a configuration for the browser, for example."""


class StoreRule(Section):
    """One rule of where a file's bytes lie: those over `above` bytes; without it, all that no earlier one took."""

    above: Size | None = None
    store: str

    _known = field_validator("store")(known_store)


class Upload(Route):
    """An upload, and where in its answer the file's facts stand."""

    method: Literal["POST", "PUT"] = "POST"
    body: Literal["raw"] = "raw"
    answers: int = 201
    file: Where = ""
    """Where the file's own description stands; the following are inside it."""
    id: Where = "id"
    key: Where = ""
    size: Where = ""
    name: Where = ""
    sha256: Where = ""
    stored_in: Where = ""
    stores: dict[str, str] = Field(default_factory=dict)
    """What the answer calls each store, where it has another name for it than `store` has."""


class UnfinishedParts(Section):
    """Where the platform keeps what it knows of uploads under way: a table, and its columns.

    `multipart` is the column of R2's own id of the upload in parts, where the parts go there.
    """

    table: str
    owner: str
    id: str = "id"
    key: str
    multipart: str = ""


class Parts(Section):
    """An upload in parts: started, each part sent, completed; or given up."""

    start: Route
    upload: Where = ""
    id: Where = "id"
    size: Where = ""
    part: Route
    complete: Route
    abort: Route | None = None
    state: Route | None = None
    stated: Where = ""
    """Where the answer to a part says how many bytes of it were stored."""
    unfinished: UnfinishedParts | None = None

    @model_validator(mode="after")
    def _names(self) -> Parts:
        allow_names(self.start, FILE_NAMES, "start")
        for name in ("part", "complete", "abort", "state"):
            allow_names(getattr(self, name), ("upload", "number", "sha256"), name)
        return self


class Files(Section):
    """One kind of file that people put on the platform.

    `store` says where its bytes must lie; the witness reads them there under the upload's `key`.
    """

    upload: Upload
    read: Route | None = None
    show: Route | None = None
    remove: Route | None = None
    listing: Route | None = Field(default=None, alias="list")
    listed: Where = ""
    change: Route | None = None
    restore: Route | None = None
    batch: Route | None = None
    link: Route | None = None
    direct: Route | None = None
    parts: Parts | None = None
    store: str | tuple[StoreRule, ...] = ()
    largest: Size = 100 * 10**6
    quota: Size | None = None
    """So many bytes a person may hold."""
    ranges: bool = False
    """Whether `read` answers ranges and conditions (206, 416, 304), its ETag being the SHA-256."""
    refuses: tuple[str, ...] = ()
    """Types that are refused with 415."""
    type: str = "application/octet-stream"
    place: Literal["", "kept", "removed"] = ""
    """What becomes of the place that a phone writes into a picture (Exif); empty: nobody says."""
    scanner: int | None = Field(default=None, ge=400, le=499)
    """The status by which a file that a scanner knows as harmful is refused; without it, nobody scans."""

    @field_validator("store")
    @classmethod
    def _known(cls, store: str | tuple[StoreRule, ...]) -> str | tuple[StoreRule, ...]:
        return known_store(store) if isinstance(store, str) else store

    @property
    def rules(self) -> tuple[StoreRule, ...]:
        """The rules of where the bytes lie, largest first."""
        return (StoreRule(store=self.store),) if isinstance(self.store, str) else self.store

    @model_validator(mode="after")
    def _consistent(self) -> Files:
        allow_names(self.upload, FILE_NAMES, "upload")
        for name in ("read", "show", "remove", "change", "restore", "batch", "link", "direct"):
            allow_names(getattr(self, name), ("id", "name", "folder", "version"), name)
        allow_names(self.listing, ("folder",), "list")
        limits = [rule.above for rule in self.rules]
        if any(above is None for above in limits[:-1]):
            raise ValueError("store has a rule after the one without `above`, which takes all that is left")
        sizes = [above for above in limits if above is not None]
        if sizes != sorted(sizes, reverse=True) or len(set(sizes)) != len(sizes):
            raise ValueError("store: put the rule with the largest `above` first, and each size once")
        if any(above >= self.largest for above in sizes):
            raise ValueError("store has a rule for files over the size of `largest`: it can never hold")
        if self.rules and self.rules[-1].above is not None:
            raise ValueError("store does not say where smaller files lie; add a rule without `above`")
        if self.store and not self.upload.key:
            raise ValueError(
                "store cannot be witnessed: say in upload.key where the answer tells the object's key"
            )
        return self

    def store_of(self, size: int) -> str:
        """Where a file of so many bytes must lie: `r2`, `storage:<bucket>`, or '' when nobody said."""
        for rule in self.rules:
            if rule.above is None or size > rule.above:
                return rule.store
        return ""


class Platform(Section):
    """The platform's own API. What is not described is never asked for."""

    version: Version | None = None
    health: HealthSection | None = None
    whoami: WhoAmI | None = None
    refusal: Refusal = Refusal()
    private: tuple[Path, ...] = ()
    pages: Pages = Pages()
    files: dict[str, Files] = Field(default_factory=dict)
    limits: dict[str, int] = Field(default_factory=dict)
    """Requests a minute that one person may send, by what they do: `uploads`, `exports`, `webhooks`."""
    error: Route | None = None
    """A route that fails on purpose, so that error tracking can be shown."""

    @property
    def bucket(self) -> str:
        """The first bucket of Supabase Storage in which a kind of file lies; '' when none does."""
        stores = (rule.store for files in self.files.values() for rule in files.rules)
        return next((s.removeprefix("storage:") for s in stores if s.startswith("storage:")), "")

    @model_validator(mode="after")
    def _names(self) -> Platform:
        allow_names(self.error, ("tag",), "error")
        return self
