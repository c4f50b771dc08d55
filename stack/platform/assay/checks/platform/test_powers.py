"""prod.security: what a browser lets no script of a page ask for (../../../API.md, section 6)."""

from __future__ import annotations

import re

from clients.service_clients import ServiceClients
from core.expect import expect_equal
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.types import Witness

PLATFORM = "platform"
UNUSED = {"camera", "microphone", "geolocation", "payment", "usb"}
"""Powers of which the platform needs none (W3C Permissions Policy)."""


@check(
    "security.powers",
    "No script of any page may ask for a camera, a microphone, a place, a payment or a device",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "platform.pages"),
    actions=(Action.READ,),
)
def test_powers(run: Run, services: ServiceClients, witness: Witness) -> None:
    """By each page's Permissions-Policy, whose empty lists allow nobody."""
    pages = run.target.description.platform.pages
    paths = (*pages.public, *pages.signed_in)
    for path in paths:
        page = services.platform.call("GET", path, headers={"Accept": "text/html"})
        page.expect(200, claim=f"the page {path} is answered")
        denied = set(re.findall(r"([\w-]+)=\(\)", page.headers.get("permissions-policy", "")))
        left = sorted(UNUSED - denied)
        expect_equal(left, [], f"{path}: no power is left that its scripts may ask for", service=PLATFORM)
    witness("the wire", f"Permissions-Policy of {len(paths)} pages")
