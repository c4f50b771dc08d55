"""What is switched on, and what answers for all that is not."""

from __future__ import annotations

from typing import Any

from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import JSON, AuthError
from stack.supabase.http import Response, json_response

PROVIDERS = (
    "apple", "azure", "bitbucket", "discord", "facebook", "snapchat", "figma", "fly", "github", "gitlab", "google",
    "keycloak", "kakao", "linkedin", "linkedin_oidc", "notion", "spotify", "slack", "slack_oidc", "workos", "twitch",
    "twitter", "phone", "zoom",
)  # fmt: skip
# What is left out answers as the Auth server does where it is switched off (supabase/auth, internal/api/middleware.go).
LEFT_OUT = {
    "/passkeys": ("passkey_disabled", "Passkeys are disabled"),
    "/sso": ("saml_provider_disabled", "SAML 2.0 is disabled"),
    "/oauth": ("feature_disabled", "OAuth server is disabled"),
    "/user/oauth": ("feature_disabled", "OAuth server is disabled"),
    "/admin/oauth": ("feature_disabled", "OAuth server is disabled"),
    "/.well-known/oauth-authorization-server": ("feature_disabled", "OAuth server is disabled"),
    "/admin/custom-providers": ("feature_disabled", "Custom OAuth providers are disabled"),
    "/admin/sso/providers": ("saml_provider_disabled", "SAML 2.0 is disabled"),
    "/scim": ("feature_disabled", "SCIM server is disabled"),
}


async def settings(ctx: Context) -> dict[str, Any]:
    """GET /settings: what is switched on."""
    options = ctx.options
    on = {
        "email": options.email_provider,
        "anonymous_users": options.anonymous_users,
        options.oauth_provider: True,
    }
    return {
        "external": dict.fromkeys(PROVIDERS, False) | on, "disable_signup": options.disable_signup,
        "mailer_autoconfirm": options.autoconfirm, "phone_autoconfirm": False, "sms_provider": "", "saml_enabled": False,
        "saml_private_key_next_configured": True, "passkeys_enabled": False,
    }  # fmt: skip


async def health(_: Context) -> dict[str, Any]:
    """GET /health."""
    about = "GoTrue is a user registration and authentication API"
    return {"version": "v2.196.0-assay", "name": "GoTrue", "description": about}


async def jwks(ctx: Context) -> Response:
    """GET /\\.well-known/jwks\\.json."""
    headers = {"cache-control": "public, max-age=600", "content-type": JSON}
    return json_response(ctx.services.signer.jwks(), headers=headers)


async def sso_providers(ctx: Context) -> dict[str, Any]:
    """GET /admin/sso/providers: none."""
    ctx.require_admin()
    return {"items": []}


async def left_out(ctx: Context) -> None:
    """Whatever belongs to a feature that is switched off. Raises AuthError 404, to whoever may come that far."""
    if ctx.path.startswith("/admin/"):
        ctx.require_admin()
    if ctx.path.startswith("/user/"):
        await ctx.require_user()
    prefix = next(prefix for prefix in LEFT_OUT if f"{ctx.path}/".startswith(f"{prefix}/"))
    code, message = LEFT_OUT[prefix]
    raise AuthError(code, message, 404)
