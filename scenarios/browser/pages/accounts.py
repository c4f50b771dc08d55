"""Registration, log-in, recovery, and the person's own data, as flows speak of them.

A platform's own pages override these (docs/adding.md); one that does not have something leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from playwright.sync_api import FilePayload

from scenarios.browser.pages.anypage import AnyPage, not_described

VENDORS = (
    "google-analytics.com",
    "googletagmanager.com",
    "mixpanel.com",
    "datadoghq.com",
    "datadoghq.eu",
    "browser-intake",
)
"""Parts of the hosts that analytics vendors' SDKs send to."""


class Accounts(AnyPage):
    """Register, confirm, log in, log out, recover."""

    def register(self, username: str, email: str, password: str) -> None:
        """Fills the registration in and waits for the hint to confirm."""
        raise not_described(self.register)

    def follow_mail(self, link: str) -> None:
        """Opens the link of a mail in this browser, as a person does."""
        raise not_described(self.follow_mail)

    def log_in(self, email: str, password: str) -> None:
        """Logs in and waits until the page knows who is there."""
        raise not_described(self.log_in)

    def log_out_everywhere(self) -> None:
        """Ends every session of the account."""
        raise not_described(self.log_out_everywhere)

    def is_signed_out(self) -> None:
        """Waits until nobody is signed in here."""
        raise not_described(self.is_signed_out)

    def is_signed_in(self) -> None:
        """Waits until the page shows that somebody is signed in."""
        raise not_described(self.is_signed_in)

    def is_signed_in_as(self, username: str) -> None:
        """Waits until the page names this person."""
        raise not_described(self.is_signed_in_as)

    def ask_for_recovery(self, email: str) -> None:
        """Asks for a link to choose a new password."""
        raise not_described(self.ask_for_recovery)

    def choose_password(self, password: str) -> None:
        """Chooses a new password on the page that the link opened."""
        raise not_described(self.choose_password)

    def log_out(self) -> None:
        """Ends this browser's session."""
        raise not_described(self.log_out)

    def change_profile(self, name: str, bio: str, picture: FilePayload) -> None:
        """Changes what others see of the person: name, words, picture."""
        raise not_described(self.change_profile)

    def log_in_with(self, provider: str, email: str) -> None:
        """Logs in through an OAuth provider whose page takes a test identity."""
        raise not_described(self.log_in_with)


class Privacy(AnyPage):
    """Consent, export, erasure."""

    friends: tuple[str, ...] = ()
    """Hosts (with a port, if any) that pages may ask without consent, beside the platform, Supabase and Builder.io."""

    def decline(self) -> None:
        """Declines analytics in the banner."""
        raise not_described(self.decline)

    def accept(self) -> None:
        """Accepts analytics in the banner."""
        raise not_described(self.accept)

    def change_mind(self, allow: bool) -> None:
        """Withdraws consent to analytics, or gives it again, where people find their data."""
        raise not_described(self.change_mind)

    def is_analytics(self, url: str) -> bool:
        """Whether a request to this address carries analytics, by the platform's relays or straight to a vendor."""
        telemetry = self.flow.run.target.description.telemetry
        relays = (telemetry.track, telemetry.relay.mixpanel, telemetry.relay.datadog)
        return self._goes_to(url, relays, VENDORS)

    def is_rum(self, url: str) -> bool:
        """Whether a request to this address carries what DataDog's RUM saw."""
        relay = self.flow.run.target.description.telemetry.relay.datadog
        return self._goes_to(url, (relay,), ("datadoghq.", "browser-intake"))

    def is_mixpanel(self, url: str) -> bool:
        """Whether a request to this address carries visits to Mixpanel."""
        relay = self.flow.run.target.description.telemetry.relay.mixpanel
        return self._goes_to(url, (relay,), ("mixpanel.com",))

    def _goes_to(self, url: str, relays: Iterable[str | None], hosts: Iterable[str]) -> bool:
        parts = urlsplit(url)
        by_relay = any(path and parts.path.startswith(path) for path in relays)
        return by_relay or any(host in (parts.hostname or "") for host in hosts)

    def export(self) -> bytes:
        """Downloads everything that the platform holds about the person."""
        raise not_described(self.export)

    def erase(self, email: str) -> None:
        """Deletes the account, confirmed by its address."""
        raise not_described(self.erase)
