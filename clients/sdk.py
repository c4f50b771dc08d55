"""A vendor's SDK held to two ways of failing: `ServiceRefusal` (the service said no) and ServiceError (it talked nonsense).

`guarded(client, service)` looks like the client. What the service refuses, whatever the SDK calls it, is a
`ServiceRefusal`: uncaught it means that a check's expectation does not hold; a check that expects a refusal catches
it with `refused(...)`. Whatever the SDK cannot make sense of names the service and is `broken`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import httpx
from postgrest.exceptions import APIError
from pydantic import ValidationError
from storage3.exceptions import StorageApiError
from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError, AuthUnknownError

from clients.http import GuardedTransport
from clients.strict_json import strict_json
from core.errors import AssayError, Missed, ServiceError
from core.permit import Permit

T = TypeVar("T")


class ServiceRefusal(Missed):
    """A service's well-formed refusal. Uncaught: something that had to work was refused."""

    def __init__(self, service: str, what: str, status: int, code: str, message: str) -> None:
        super().__init__(
            f"{service} refused {what}",
            expected="the call to succeed",
            saw=f"{status} {code}: {message}".strip(),
            service=service,
        )
        self.status = status
        self.code = code
        self.message = message


@contextmanager
def refused(*codes: str, claim: str, service: str | None = None) -> Iterator[list[ServiceRefusal]]:
    """The calls inside must be refused with one of `codes` (any refusal when none is named).

    Yields a list that holds the refusal afterwards. Raises Missed when nothing was refused, or otherwise.
    """
    caught: list[ServiceRefusal] = []
    try:
        yield caught
    except ServiceRefusal as error:
        caught.append(error)
        if codes and error.code not in codes:
            raise Missed(
                claim, expected=f"refused as {' or '.join(codes)}", saw=error.saw, service=error.service
            ) from error
        return
    raise Missed(
        claim,
        expected=f"refused{' as ' + ' or '.join(codes) if codes else ''}",
        saw="accepted",
        service=service,
    )


@contextmanager
def preparing(what: str) -> Iterator[None]:
    """Inside, a refusal is not the check's matter but its preparation's failure: ServiceError, broken."""
    try:
        yield
    except ServiceRefusal as error:
        raise ServiceError(error.service or "platform", f"{what} was refused: {error.saw}") from error


def guarded(client: T, service: str) -> T:
    """`client` behind the guard; its type stays."""
    return cast(T, _Guard(client, service, ""))


class _Guard:
    """Hands out the SDK's own attributes; guards its calls and the clients and builders it returns."""

    __slots__ = ("_client", "_name", "_service")

    def __init__(self, client: Any, service: str, name: str) -> None:
        self._client, self._service, self._name = client, service, name

    def __getattr__(self, name: str) -> Any:
        path = f"{self._name}.{name}".lstrip(".")
        with _translating(self._service, path):
            value = getattr(self._client, name)
        return _guard_value(value, self._service, path)


def _guard_value(value: Any, service: str, path: str) -> Any:
    service = _SERVICES.get(type(value).__module__.split(".")[0], service)
    if _is_client(value):
        return _Guard(value, service, path)
    if callable(value) and not isinstance(value, type):
        return _guard_call(value, service, path)
    return value


def _is_client(value: Any) -> bool:
    """The SDKs keep their clients and request builders in `_sync` modules, what they return elsewhere."""
    return "._sync" in type(value).__module__ and not isinstance(value, Exception)


def _guard_call(call: Callable[..., Any], service: str, path: str) -> Callable[..., Any]:
    @functools.wraps(call)
    def guarded_call(*arguments: Any, **named: Any) -> Any:
        with _translating(service, path):
            return _guard_value(call(*arguments, **named), service, path)

    return guarded_call


class SupabaseTransport(httpx.BaseTransport):
    """The SDK's one HTTP client speaks to three services; each address is guarded under its service's name.

    Auth and REST answer JSON alone, so that is what is asked for: a page of HTML is then refused.
    """

    def __init__(self, permit: Permit, *, inner: httpx.BaseTransport | None = None) -> None:
        self._guards = {
            part: GuardedTransport(service, permit, inner=inner) for part, service in _PATHS.items()
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request under the name of the service that its path belongs to."""
        part = next((part for part in _PATHS if f"/{part}/v1" in request.url.path), "auth")
        if part != "storage" and request.headers.get("accept", "*/*") == "*/*":
            request.headers["accept"] = "application/json"
        return self._guards[part].handle_request(request)

    def close(self) -> None:
        """Closes every connection."""
        for guard in self._guards.values():
            guard.close()


_PATHS = {"auth": "supabase.auth", "rest": "supabase.database", "storage": "supabase.storage"}
_SERVICES = {
    "supabase_auth": "supabase.auth",
    "postgrest": "supabase.database",
    "storage3": "supabase.storage",
}


@contextmanager
def _translating(service: str, what: str) -> Iterator[None]:
    try:
        yield
    except AssayError:
        raise
    except (AuthRetryableError, AuthUnknownError) as error:
        raise ServiceError(service, f"{what}: {type(error).__name__}: {str(error)[:200]}") from error
    except AuthApiError as error:
        raise ServiceRefusal(service, what, error.status, str(error.code or ""), error.message) from error
    except AuthError as error:
        raise ServiceRefusal(
            service, what, int(getattr(error, "status", 0)), str(error.code or ""), str(error)
        ) from error
    except APIError as error:
        if isinstance(error.__cause__, ValidationError):  # postgrest-py could not read the error's body
            raise ServiceError(service, f"{what}: {str(error.details)[:200]}") from error
        raise ServiceRefusal(
            service,
            what,
            _number(error.code),
            str(error.code or ""),
            str(error.message),
        ) from error
    except StorageApiError as error:
        if error.code in ("InternalError", "LibraryError") and "parse error message" in error.message:
            raise ServiceError(service, f"{what}: {error.message[:200]}") from error
        raise ServiceRefusal(
            service, what, _number(error.status), str(error.code or ""), error.message
        ) from error
    except (
        ValidationError, httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise ServiceError(
            service,
            f"{what} got an answer that its SDK cannot read: {type(error).__name__}: {str(error)[:200]}",
        ) from error


def _number(value: object) -> int:
    return int(str(value)) if str(value).isdigit() else 0


def rows(response: Any) -> list[dict[str, Any]]:
    """The rows of a postgrest answer; ServiceError when it holds anything else."""
    data = getattr(response, "data", None)
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise ServiceError("supabase.database", f"a query answers no list of rows: {str(data)[:200]}")
    return data


def row(response: Any, claim: str) -> dict[str, Any]:
    """The one row of a postgrest answer; Missed with `claim` when there is none or more, or a column is missing."""
    found = rows(response)

    def on_missing(what: str) -> Missed:
        saw = f"{len(found)} rows: {str(found)[:200]}"
        return Missed(claim, expected=what, saw=saw, service="supabase.database")

    if len(found) != 1:
        raise on_missing("one row")
    one: dict[str, Any] = strict_json(found[0], on_missing)
    return one
