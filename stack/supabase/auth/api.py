"""/auth/v1: which handler answers what."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

import asyncpg

from stack.supabase.auth import account, admin, factors, oauth, signup, verify
from stack.supabase.auth.context import Context, Services
from stack.supabase.auth.errors import API_VERSION, AuthError, invalid, modern, shaped
from stack.supabase.auth.limits import Limits
from stack.supabase.auth.links import Links
from stack.supabase.auth.sessions import Sessions
from stack.supabase.config import Config
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import HttpError, Request, Response, json_response
from stack.supabase.mail import Mailbox
from stack.supabase.tokens import Signer

PREFIX = "/auth/v1"
ELSEWHERE = re.compile(
    r"/(saml|scim|passkeys|oauth/|admin/(sso|oauth|audit|custom-providers)|user/oauth|web3)"
)


async def settings(ctx: Context) -> dict[str, Any]:
    """GET /settings: what is switched on."""
    names = ("anonymous_users", "apple", "azure", "bitbucket", "discord", "email", "facebook", "github", "gitlab", "google",
             "linkedin_oidc", "notion", "phone", "slack", "spotify", "twitch", "twitter", "workos", "zoom")  # fmt: skip
    on = {"email": True, "anonymous_users": ctx.options.anonymous_users, ctx.options.oauth_provider: True}
    return {
        "external": dict.fromkeys(names, False) | on, "disable_signup": ctx.options.disable_signup,
        "mailer_autoconfirm": ctx.options.autoconfirm, "phone_autoconfirm": False, "sms_provider": "", "saml_enabled": False,
        "passkeys_enabled": False,
    }  # fmt: skip


async def health(_: Context) -> dict[str, Any]:
    """GET /health."""
    return {
        "version": "v2.187.0-assay",
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    }


async def jwks(ctx: Context) -> Response:
    """GET /.well-known/jwks.json."""
    return json_response(ctx.services.signer.jwks(), headers={"cache-control": "public, max-age=600"})


Handler = Callable[[Context], Awaitable[Any]]
ID = r"([^/]+)"
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", "/health", health),
        ("GET", "/settings", settings),
        ("GET", r"/\.well-known/jwks\.json", jwks),
        ("POST", "/signup", signup.sign_up),
        ("POST", "/otp", signup.one_time_password),
        ("POST", "/magiclink", signup.one_time_password),
        ("POST", "/recover", signup.recover),
        ("POST", "/resend", signup.resend),
        ("POST", "/invite", signup.invite),
        ("POST", "/token", account.token),
        ("GET", "/verify", verify.get),
        ("POST", "/verify", verify.post),
        ("GET", "/user", account.get),
        ("PUT", "/user", account.change),
        ("GET", "/reauthenticate", account.reauthenticate),
        ("POST", "/logout", account.log_out),
        ("GET", "/user/identities/authorize", oauth.link),
        ("DELETE", f"/user/identities/{ID}", account.unlink),
        ("GET", "/authorize", oauth.authorize),
        ("GET", "/callback", oauth.callback),
        ("GET", "/oauth/local", oauth.page),
        ("POST", "/oauth/local", oauth.page),
        ("POST", "/factors", factors.enroll),
        ("POST", f"/factors/{ID}/challenge", factors.challenge),
        ("POST", f"/factors/{ID}/verify", factors.verify),
        ("DELETE", f"/factors/{ID}", factors.unenroll),
        ("GET", "/admin/users", admin.list_users),
        ("POST", "/admin/users", admin.create_user),
        ("GET", f"/admin/users/{ID}", admin.get_user),
        ("PUT", f"/admin/users/{ID}", admin.change_user),
        ("DELETE", f"/admin/users/{ID}", admin.delete_user),
        ("GET", f"/admin/users/{ID}/factors", factors.admin_list),
        ("DELETE", f"/admin/users/{ID}/factors/{ID}", factors.admin_delete),
        ("POST", "/admin/generate_link", admin.generate_link),
    )
]


class Auth:
    """The Auth wire over one database."""

    def __init__(self, database: Database, signer: Signer, config: Config, mailbox: Mailbox) -> None:
        self.limits = Limits(config.options)
        links = Links(config, mailbox, self.limits)
        self._services = Services(database, signer, config, self.limits, links, Sessions(signer, config))
        self._options = config.options

    def switch(self, changed: dict[str, Any]) -> None:
        """Let rate limits and the tokens' life differ from the options while a planned fault lasts; {} ends it.

        Takes the names of Options that begin with ``rate_limit``, and ``jwt_expiry``. Raises HttpError 400.
        """
        known = {f.name: f.type for f in fields(self._options)}
        for name, value in changed.items():
            wanted = known.get(name, "") if name.startswith("rate_limit") or name == "jwt_expiry" else ""
            if not wanted or type(value).__name__ != wanted:
                raise HttpError(400, {"message": f"auth has no switch {name} for {value!r}"})
        options = replace(self._options, **changed)
        self.limits.use(options)
        self.limits.reset()
        self._services.sessions.use(options)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises HttpError in the shape that the client reads."""
        try:
            found = await self._route(request)
        except AuthError as error:
            raise shaped(error, request) from error
        except Unavailable as error:
            raise shaped(AuthError(503, "unexpected_failure", "Database unavailable"), request) from error
        except asyncpg.PostgresError as error:
            known = (error.sqlstate or "").startswith("22")  # a value that no column can hold, such as a NUL
            answer = (
                invalid(str(error))
                if known
                else AuthError(500, "unexpected_failure", f"Database error: {error}")
            )
            raise shaped(answer, request) from error
        except UnicodeEncodeError as error:
            raise shaped(
                AuthError(400, "bad_json", f"the request holds text that is not Unicode: {error.reason}"),
                request,
            ) from error
        response = found if isinstance(found, Response) else json_response(found)
        if modern(request):
            response.headers["x-supabase-api-version"] = API_VERSION
        return response

    async def _route(self, request: Request) -> Any:
        path = request.path.removeprefix(PREFIX).rstrip("/") or "/"
        known = False
        for method, pattern, handler in ROUTES:
            matched = pattern.fullmatch(path)
            known = known or bool(matched)
            if matched and method == request.method:
                return await handler(Context(request, self._services, matched.groups()))
        if path.startswith("/sso"):
            raise AuthError(404, "saml_provider_disabled", "SAML 2.0 is disabled")
        if ELSEWHERE.match(path):
            raise AuthError(
                501,
                "feature_disabled",
                f"{path} is not part of the embedded target (stack/supabase/README.md)",
            )
        if known:
            raise HttpError(405, {"code": 405, "msg": "Method not allowed"})
        raise HttpError(404, {"code": 404, "msg": "404 page not found"})
