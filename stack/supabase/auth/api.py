"""/auth/v1: which handler answers what."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from stack.supabase.auth import account, admin, audit, factors, oauth, signup, verify
from stack.supabase.auth.context import PREFIX, Context, Services
from stack.supabase.auth.errors import JSON, AuthError, invalid, shaped
from stack.supabase.auth.limits import Limits
from stack.supabase.auth.settings import LEFT_OUT, health, jwks, left_out, settings, sso_providers
from stack.supabase.config import Config, Options
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import Handler, Request, Response, Routes, json_response
from stack.supabase.mail import Mailbox
from stack.supabase.pipeline import DataError, SqlError
from stack.supabase.tokens import Signer

WITHOUT_DATABASE = (settings, health, jwks, oauth.page)
BEHIND_CAPTCHA = (
    signup.sign_up, signup.one_time_password, signup.magic_link, signup.recover, signup.resend, account.token,
)  # fmt: skip
ANY = "GET|POST|PUT|PATCH|DELETE"
ROUTES = Routes({
    "GET /health": health,
    "GET /settings": settings,
    "GET /\\.well-known/jwks\\.json": jwks,
    "POST /signup": signup.sign_up,
    "POST /otp": signup.one_time_password,
    "POST /magiclink": signup.magic_link,
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
    f"GET|POST {oauth.AUTHORIZE}": oauth.page,
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
    "GET /admin/audit": audit.read,
    "GET /admin/sso/providers": sso_providers,
    **{f"{ANY} {re.escape(prefix)}(?:/.+)?": left_out for prefix in LEFT_OUT},
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
            return (
                found if isinstance(found, Response) else json_response(found, headers={"content-type": JSON})
            )
        except AuthError as error:
            if error.instead:
                return error.instead
            refusal = error
        except Unavailable:
            refusal = AuthError("unexpected_failure", "Database unavailable", 503)
        except DataError as error:  # a value that no column can hold, such as a NUL
            refusal = invalid(str(error))
        except SqlError as error:
            refusal = AuthError("unexpected_failure", f"Database error: {error}", 500)
        raise shaped(refusal, request)

    async def _route(self, request: Request) -> Any:
        path = request.path.removeprefix(PREFIX).rstrip("/") or "/"
        handler, parts, known = ROUTES.find(request.method, path)
        if handler:
            return await self._run(handler, Context(request, self._services, parts))
        if known:
            return Response(405)
        return Response(404, b"404 page not found\n", {"content-type": "text/plain; charset=utf-8"})

    async def _run(self, handler: Handler, ctx: Context) -> Any:
        """The handler in one transaction, which a refusal takes back unless it says otherwise."""
        if handler in WITHOUT_DATABASE:
            return await handler(ctx)
        await ctx.read()
        if handler in BEHIND_CAPTCHA:
            ctx.check_captcha()
        async with ctx:
            try:
                return await handler(ctx)
            except AuthError as error:
                if not error.keep:
                    raise
                kept = error
        raise kept
