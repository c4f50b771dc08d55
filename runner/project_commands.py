"""The command that makes a project: `init`. Thin, as all of cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.options import Config, DefaultGrants, Migrations, Seed, SkipExtension


def add(app: typer.Typer) -> None:
    """Adds it to the command."""
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="the folder to make, in your own repository")] = Path(
        "assay"
    ),
    env: Annotated[
        str,
        typer.Option(
            "--env",
            help="a file of variables, `-` for standard input: `supabase status -o env | assay init --env -`",
        ),
    ] = "",
    migrations: Migrations = None,
    seed: Seed = None,
    config: Config = None,
    skip_extension: SkipExtension = None,
    default_grants: DefaultGrants = None,
) -> None:
    """Describes your platform as far as the given keys, or your migrations, tell; you decide the rest."""
    from runner import own_schema
    from runner.init import init_from_migrations, init_project

    if migrations:
        serves = own_schema.named(migrations, seed or (), config, skip_extension or (), default_grants)
        raise typer.Exit(init_from_migrations(folder, serves))
    raise typer.Exit(init_project(folder, env))
