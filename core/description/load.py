"""`[[load.http]]`: the shipped profile `described`, requests as data, every answer checked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from core.description.base import Section, allow, names_in

NAMES = ("platform", "supabase", "tag", "user", "number")


class Expectation(Section):
    """What a right answer holds: its status, these values anywhere below it, and these keys in each of its rows."""

    status: int = 200
    each: tuple[str, ...] = ()
    holds: dict[str, Any] = Field(default_factory=dict)
    least: int = Field(default=0, ge=0)
    """So many rows at least, where `each` is given."""


class DescribedRequest(Section):
    """One kind of request. Give its address as `get`, `post`, `patch` or `delete`."""

    name: str
    weight: int = Field(default=1, ge=1)
    by: Literal["person", "nobody"] = Field(default="person", alias="as")
    get: str = ""
    post: str = ""
    patch: str = ""
    delete: str = ""
    body: Any = None
    headers: dict[str, str] = Field(default_factory=dict)
    expect: Expectation = Expectation()
    metric: str = ""

    @property
    def method(self) -> str:
        """The request's method."""
        return next(name.upper() for name in ("get", "post", "patch", "delete") if getattr(self, name))

    @property
    def address(self) -> str:
        """The template of its address."""
        return self.get or self.post or self.patch or self.delete

    @model_validator(mode="after")
    def _one(self) -> DescribedRequest:
        given = [name for name in ("get", "post", "patch", "delete") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("write one address: get, post, patch or delete")
        for template in (self.address, self.headers, self.body):
            allow(names_in(template if template is not None else ""), NAMES, f"the request '{self.name}'")
        if not self.address.startswith(("{platform}/", "{supabase}/")):
            raise ValueError("an address begins with {platform}/ or {supabase}/")
        return self


class Load(Section):
    """Loads that are data."""

    http: tuple[DescribedRequest, ...] = ()
    posts: bool = False
    """Whether the project's adapter makes posts, for the loads that read them."""

    @model_validator(mode="after")
    def _names(self) -> Load:
        names = [request.name for request in self.http]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two requests are called '{name}'")
        return self
