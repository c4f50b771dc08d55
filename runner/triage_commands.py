"""The commands of triage: `waive`, `mute`, `sign-off`, `trends`. Thin, as all of cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Adds them to the command."""
    for name, command in (("waive", waive), ("mute", mute), ("sign-off", sign_off), ("trends", trends)):
        app.command(name)(command)


def waive(
    check: Annotated[str, typer.Argument(help="the id of a check or an objective")],
    reason: Annotated[str, typer.Option("--reason", help="why it may be missed for a while")],
    owner: Annotated[str, typer.Option("--owner", help="who answers for it")],
    ticket: Annotated[str, typer.Option("--ticket", help="where it is being mended")],
    until: Annotated[
        str, typer.Option("--until", help="its last day, e.g. 2027-01-31; at most 90 days away")
    ],
) -> None:
    """Writes a waiver with all its fields to the project's waivers.toml."""
    from runner.triage import waive as write_waiver

    path = write_waiver(check, reason=reason, owner=owner, ticket=ticket, until=until)
    print(f"waived       {check} until {until}: {path}")


def mute(
    key: Annotated[str, typer.Argument(help="the key of an alert; `perf.*` for all that begin so")],
    reason: Annotated[str, typer.Option("--reason", help="why nobody wants to hear of it")],
    owner: Annotated[str, typer.Option("--owner", help="who answers for the silence")],
    until: Annotated[str, typer.Option("--until", help="its last day, e.g. 2027-01-31")],
    ticket: Annotated[str, typer.Option("--ticket", help="where it is being mended")] = "",
) -> None:
    """Silences an alert until a day, in the project's alerts.toml; the verdict stays as it is."""
    from runner.triage import mute as write_mute

    path = write_mute(key, reason=reason, owner=owner, until=until, ticket=ticket)
    print(f"muted        {key} until {until}: {path}")


def sign_off(
    run: Annotated[
        Path | None, typer.Argument(help="a run's folder or id; the newest when none is named")
    ] = None,
    comment: Annotated[str, typer.Option("--comment", help="what you say of it")] = "",
    name: Annotated[
        str, typer.Option("--name", help="who you are; else the CI job's or machine's user")
    ] = "",
) -> None:
    """Says that a person has looked at a run: kept in its folder, shown in its report and PDF. Opens no gate."""
    from runner.triage import sign_run

    print(f"signed       {sign_run(run, name=name, comment=comment)}")


def trends(
    out: Annotated[Path, typer.Option("--out", help="the page to write")] = Path("trends.html"),
    plan: Annotated[str, typer.Option(help="smoke, gate or nightly")] = "nightly",
    target: Annotated[
        str, typer.Option("--target", envvar="ASSAY_TARGET", help="the target's name in the history")
    ] = "embedded",
) -> None:
    """Writes one page over the last runs of a plan from the history, for CI to publish."""
    from runner.triage import publish_trends

    print(f"trends       {publish_trends(target, plan, out)}")
