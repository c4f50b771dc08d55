"""Registration, log-in, recovery, and the person's own data."""

from __future__ import annotations

from playwright.sync_api import FilePayload, expect

from scenarios.browser.pages.accounts import Accounts, Privacy
from scenarios.browser.pages.anypage import ARRIVES


class ReferenceAccounts(Accounts):
    """Register, confirm, log in, log out, recover."""

    def register(self, username: str, email: str, password: str) -> None:
        """Fills the registration in and waits for the hint to confirm."""
        self.open("/register")
        self.fill("Username", username)
        self.fill("Email", email)
        self.fill("Password", password)
        self.press("Create account")
        self.shown(self.test_id("confirm-hint"), "the hint to confirm by mail")
        self.step("registered")

    def follow_mail(self, link: str) -> None:
        """Opens the link of a mail in this browser, as a person does."""
        self.person.begin_action("followed the link in the mail")
        self.page.goto(link)
        self.is_drawn()
        self.step("followed the mail")

    def log_in(self, email: str, password: str) -> None:
        """Logs in and waits until the page knows who is there."""
        self.open("/login")
        self.fill("Email", email)
        self.fill("Password", password)
        self.press("Log in")
        self.shown(self.test_id("current-user"), "who is signed in")
        self.step("logged in")

    def log_out_everywhere(self) -> None:
        """Ends every session of the account."""
        self.open("/profile")
        self.press("Log out everywhere")
        self.says("All your sessions are ended")
        self.step("logged out everywhere")

    def is_signed_out(self) -> None:
        """Waits until nobody is signed in here."""
        self.gone(self.test_id("current-user"), "somebody signed in")

    def is_signed_in(self) -> None:
        """Waits until the page shows that somebody is signed in."""
        self.shown(self.test_id("current-user"), "who is signed in")

    def is_signed_in_as(self, username: str) -> None:
        """Waits until the page names this person."""
        who = self.test_id("current-user")
        expect(who, f"{self.person.name} should be signed in as {username}").to_have_text(
            username, timeout=ARRIVES
        )

    def ask_for_recovery(self, email: str) -> None:
        """Asks for a link to choose a new password."""
        self.open("/recover")
        self.fill("Email", email)
        self.press("Send link")
        self.says("link is on its way")
        self.step("asked for a recovery link")

    def choose_password(self, password: str) -> None:
        """Chooses a new password on the page that the link opened."""
        self.fill("New password", password)
        self.press("Save password")
        self.says("Your new password is saved")
        self.step("chose a new password")

    def log_out(self) -> None:
        """Ends this browser's session."""
        self.press("Log out")
        self.is_signed_out()
        self.step("logged out")

    def change_profile(self, name: str, bio: str, picture: FilePayload) -> None:
        """Changes what others see of the person: name, words, picture."""
        self.open("/profile")
        self.fill("Display name", name)
        self.fill("Bio", bio)
        self.page.get_by_label("Avatar").set_input_files(picture)
        self.press("Save profile")
        self.says("Your profile is saved")
        self.step("changed their profile")

    def log_in_with(self, provider: str, email: str) -> None:
        """Logs in through an OAuth provider whose page takes a test identity."""
        self.open("/login")
        self.shown(self.test_id(f"oauth-{provider}"), f"a way to log in with {provider}")
        self.person.begin_action(f"chose to log in with {provider}")
        self.test_id(f"oauth-{provider}").click()
        self.fill("Email", email)
        self.page.get_by_role("button", name="Sign in").click()
        self.is_signed_in()
        self.step(f"logged in with {provider}")


class ReferencePrivacy(Privacy):
    """Consent, export, erasure."""

    friends: tuple[str, ...] = ()
    """Hosts (with a port, if any) that pages may ask without consent, beside the platform, Supabase and Builder.io."""

    def decline(self) -> None:
        """Declines analytics in the banner."""
        self.press("Decline", self.test_id("consent-banner"))
        self.gone(self.test_id("consent-banner"), "the consent banner")
        self.step("declined analytics")

    def accept(self) -> None:
        """Accepts analytics in the banner."""
        self.press("Accept analytics", self.test_id("consent-banner"))
        self.gone(self.test_id("consent-banner"), "the consent banner")
        self.step("accepted analytics")

    def change_mind(self, allow: bool) -> None:
        """Withdraws consent to analytics, or gives it again, where people find their data."""
        self.open("/privacy")
        box = self.page.get_by_label("Allow analytics")
        self.shown(box, "the choice 'Allow analytics'")
        self.person.begin_action("allowed analytics" if allow else "withdrew consent to analytics")
        box.set_checked(allow)
        self.step("allowed analytics" if allow else "withdrew consent")

    def export(self) -> bytes:
        """Downloads everything that the platform holds about the person."""
        self.open("/privacy")
        data = self.downloaded("Export my data")
        self.step("exported their data")
        return data

    def erase(self, email: str) -> None:
        """Deletes the account, confirmed by its address."""
        self.open("/privacy")
        self.fill("Confirm email", email)
        self.press("Delete my account")
        self.says("Your account is deleted")
        self.step("deleted the account")
