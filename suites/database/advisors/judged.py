"""A finding as it was tried and decided: what closes the gate, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.description.database import Accepted
from core.expect import expect
from core.run import Run
from suites.database.advisors.finding import Finding

BY_CATALOG = "only by the catalog"


@dataclass(frozen=True)
class Judged:
    """A finding, how it was shown to be open ('' where it was not), and why it was decided to stay."""

    finding: Finding
    shown: str
    reason: str

    @property
    def state(self) -> str:
        """Whether it is open, in words."""
        return f"open: {self.shown}" if self.shown else BY_CATALOG

    @property
    def closes(self) -> bool:
        """Whether it closes the gate: nobody decided on it, and it is open or an error by the catalog; INFO never does."""
        return (
            not self.reason
            and self.finding.level != "INFO"
            and (bool(self.shown) or self.finding.level == "ERROR")
        )

    def as_dict(self) -> dict[str, object]:
        """For the evidence."""
        f = self.finding
        return {
            "name": f.name, "level": f.level, "on": f.on, "part": f.part, "why": f.why, "state": self.state,
            "accepted": self.reason, "closes": self.closes,
        }  # fmt: skip


def fits(finding: Finding, accepted: Accepted) -> bool:
    """Whether a decision speaks of this finding: the lint by name, with or without its number, and on what."""
    return accepted.lint in (finding.lint, finding.name) and accepted.on in (
        finding.on,
        f"{finding.on}.{finding.part}",
    )


def reason_for(finding: Finding, accepted: Iterable[Accepted]) -> str:
    """Why it was decided to stay; '' where nobody decided."""
    return next((one.reason for one in accepted if fits(finding, one)), "")


def judge(
    run: Run, check: str, found: Iterable[Finding], proof: Callable[[Finding], str], service: str
) -> None:
    """Tries findings, keeps them all as the evidence `<check>.json`, and misses what closes."""
    accepted = run.target.description.database.accepted
    tried = [(f, f.level != "INFO" or f.of_ours) for f in found]
    judged = [Judged(f, proof(f) if try_it else "", reason_for(f, accepted)) for f, try_it in tried]
    findings = [one.as_dict() for one in judged]
    data = json.dumps(findings, indent=1).encode()
    run.attach(f"{check}.json", data, media_type="application/json", check=check)
    closing = sorted((one for one in judged if one.closes), key=lambda one: not one.shown)
    expect(
        not closing,
        "nothing is open that the project did not decide to leave open",
        expected="no finding, or a decided one under [[database.accepted]]",
        saw="; ".join(f"{one.finding} ({one.state})" for one in closing),
        service=service,
    )
