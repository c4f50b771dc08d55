"""A user's own page objects, for a platform whose log-in is in German and names people elsewhere.

The test copies this module beside a target.toml, as a user would write one; `served` plays the other platform: it
rewrites the reference platform's own scripts on their way into the browser.
"""

from stack.platform.assay.pages import ReferenceAccounts, ReferencePages


class German(ReferenceAccounts):
    def log_in(self, email, password):
        self.open("/login")
        self.fill("E-Mail-Adresse", email)
        self.fill("Kennwort", password)
        self.press("Anmelden")
        self.is_signed_in()
        self.step("meldete sich an")

    def is_signed_in(self):
        self.shown(self.test_id("wer"), "wer angemeldet ist")

    def is_signed_in_as(self, username):
        self.reads_in(self.test_id("wer"), username, f"{username} als angemeldet")

    def is_signed_out(self):
        self.gone(self.test_id("wer"), "jemanden angemeldet")


class OwnPages(ReferencePages):
    accounts = German

    def __init__(self, flow, person):
        super().__init__(flow, person)
        person.context.route("**/*.js", served)


def served(route):
    answer = route.fetch()
    text = answer.text()
    for ours, theirs in (
        ("`Log in`", "`Anmelden`"), ('"Log in"', '"Anmelden"'), ("`Email`", "`E-Mail-Adresse`"),
        ('"Email"', '"E-Mail-Adresse"'), ("`Password`", "`Kennwort`"), ('"Password"', '"Kennwort"'),
        ("current-user", "wer"),
    ):  # fmt: skip
        text = text.replace(ours, theirs)
    route.fulfill(response=answer, body=text)
