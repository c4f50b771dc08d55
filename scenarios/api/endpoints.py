"""Where a journey goes: public addresses and the public key, as a browser knows them."""

from __future__ import annotations

from dataclasses import dataclass

from core.target import Target


@dataclass(frozen=True)
class Endpoints:
    """`platform` and `supabase` are origins without a last slash; `key` is Supabase's public key."""

    platform: str
    supabase: str
    key: str

    @classmethod
    def of(cls, target: Target) -> Endpoints:
        """The target's; empty where it has no such service."""
        platform, supabase = (
            (target.find(name) or "").rstrip("/") for name in ("PLATFORM_URL", "VITE_SUPABASE_URL")
        )
        return cls(platform, supabase, target.find("VITE_SUPABASE_ANON_KEY") or "")

    def rest_headers(self, token: str | None = None) -> dict[str, str]:
        """What supabase-js sends to the REST API."""
        return {
            "apikey": self.key,
            "Authorization": f"Bearer {token or self.key}",
            "Accept": "application/json",
        }

    def platform_headers(self, token: str | None = None) -> dict[str, str]:
        """What the web app sends to the platform's API."""
        return {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
