"""/auth/v1: which handler answers what."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import asyncpg

from stack.supabase.auth import account, admin, factors, oauth, signup, verify
from stack.supabase.auth.context import Context, Services
from stack.supabase.auth.errors import API_VERSION, AuthError, invalid, modern, shaped
from stack.supabase.auth.limits import Limits
from stack.supabase.config import Config, Options
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import Handler, HttpError, Request, Response, Routes, json_response
from stack.supabase.mail import Mailbox
from stack.supabase.tokens import Signer

PREFIX = "/auth/v1"
LEFT_OUT = re.compile(
    r"/(saml|scim|passkeys|oauth/|admin/(sso|oauth|audit|custom-providers)|user/oauth|web3)"
)
PROVIDERS = ("apple", "azure", "bitbucket", "discord", "facebook", "github", "gitlab", "google", "linkedin_oidc", "notion",
             "phone", "slack", "spotify", "twitch", "twitter", "workos", "zoom")  # fmt: skip


async def settings(ctx: Context) -> dict[str, Any]:
    """GET /settings: what is switched on."""
    on = {"email": True, "anonymous_users": ctx.options.anonymous_users, ctx.options.oauth_provider: True}
    return {
        "external": dict.fromkeys(PROVIDERS, False) | on, "disable_signup": ctx.options.disable_signup,
        "mailer_autoconfirm": ctx.options.autoconfirm, "phone_autoconfirm": False, "sms_provider": "", "saml_enabled": False,
        "passkeys_enabled": False,
    }  # fmt: skip


async def health(_: Context) -> dict[str, Any]:
    """GET /health."""
    about = "GoTrue is a user registration and authentication API"
    return {"version": "v2.187.0-assay", "name": "GoTrue", "description": about}


async def jwks(ctx: Context) -> Response:
    """GET /\\.well-known/jwks\\.json."""
    return json_response(ctx.services.signer.jwks(), headers={"cache-control": "public, max-age=600"})


WITHOUT_DATABASE = (settings, health, jwks, oauth.page)
ROUTES = Routes({
    "GET /health": health,
    "GET /settings": settings,
    "GET /\\.well-known/jwks\\.json": jwks,
    "POST /signup": signup.sign_up,
    "POST /(?:otp|magiclink)": signup.one_time_password,
    "POST /recover": signup.recover,
    "POST /resend": signup.resend,
    "POST /invite": signup.invite,
    "POST /token": account.token,
    "GET /verify": verify.get,
    "POST /verify": verify.post,
    "GET /user": account.get,
    "PUT /user": account.change,
    "GET /reauthenticate": account.reauthenticate,
    "POST /logout": account.log_out,
    "GET /user/identities/authorize": oauth.link,
    "DELETE /user/identities/*": account.unlink,
    "GET /authorize": oauth.authorize,
    "GET /callback": oauth.callback,
    "GET|POST /oauth/local": oauth.page,
    "POST /factors": factors.enroll,
    "POST /factors/*/challenge": factors.challenge,
    "POST /factors/*/verify": factors.verify,
    "DELETE /factors/*": factors.unenroll,
    "GET /admin/users": admin.list_users,
    "POST /admin/users": admin.create_user,
    "GET /admin/users/*": admin.get_user,
    "PUT /admin/users/*": admin.change_user,
    "DELETE /admin/users/*": admin.delete_user,
    "GET /admin/users/*/factors": factors.admin_list,
    "DELETE /admin/users/*/factors/*": factors.admin_delete,
    "POST /admin/generate_link": admin.generate_link,
})  # fmt: skip


class Auth:
    """The Auth wire over one database."""

    def __init__(self, database: Database, signer: Signer, config: Config, mailbox: Mailbox) -> None:
        self.limits = Limits(config.options)
        self._services = Services(database, signer, config, self.limits, mailbox)
        self._options = config.options

    def switch(self, changed: dict[str, Any]) -> None:
        """Let rate limits and the tokens' life differ from the options while a planned fault lasts; {} ends it.

        Takes the names of Options that begin with ``rate_limit``, and ``jwt_expiry``. Raises ValueError.
        """
        if stuck := [name for name in changed if not name.startswith("rate_limit") and name != "jwt_expiry"]:
            raise ValueError(f"auth has no switch {stuck}")
        self.limits.options = Options.model_validate({**self._options.model_dump(), **changed})
        self.limits.reset()
        config = self._services.config.model_copy(update={"options": self.limits.options})
        self._services = replace(self._services, config=config)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises HttpError in the shape that the client reads."""
        try:
            found = await self._route(request)
            response = found if isinstance(found, Response) else json_response(found)
            if modern(request):
                response.headers["x-supabase-api-version"] = API_VERSION
            return response
        except AuthError as error:
            if error.instead:
                return error.instead
            refusal = error
        except Unavailable:
            refusal = AuthError("unexpected_failure", "Database unavailable", 503)
        except asyncpg.DataError as error:  # a value that no column can hold, such as a NUL
            refusal = invalid(str(error))
        except asyncpg.PostgresError as error:
            refusal = AuthError("unexpected_failure", f"Database error: {error}", 500)
        except UnicodeEncodeError as error:
            refusal = AuthError("bad_json", f"the request holds text that is not Unicode: {error.reason}")
        raise shaped(refusal, request)

    async def _route(self, request: Request) -> Any:
        path = request.path.removeprefix(PREFIX).rstrip("/") or "/"
        handler, parts, known = ROUTES.find(request.method, path)
        if handler:
            return await self._run(handler, Context(request, self._services, parts))
        if path.startswith("/sso"):
            raise AuthError("saml_provider_disabled", "SAML 2.0 is disabled", 404)
        if LEFT_OUT.match(path):
            raise AuthError("feature_disabled", f"{path}: see stack/supabase/README.md")
        if known:
            raise HttpError(405, {"code": 405, "msg": "Method not allowed"})
        raise HttpError(404, {"code": 404, "msg": "404 page not found"})

    async def _run(self, handler: Handler, ctx: Context) -> Any:
        """The handler in one transaction, which a refusal takes back unless it says otherwise."""
        if handler in WITHOUT_DATABASE:
            return await handler(ctx)
        await ctx.read()
        async with ctx:
            try:
                return await handler(ctx)
            except AuthError as error:
                if not error.keep:
                    raise
                kept = error
        raise kept
