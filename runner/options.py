"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="ASSAY_TARGET",
        help="embedded (started by Assay), live (target.toml and environment), or NAME for target.NAME.toml",
    ),
]
TargetFile = Annotated[Path, typer.Option("--target-file", help="the description of a live target")]
ExpectVersion = Annotated[
    str | None,
    typer.Option("--expect-version", help="wait for this deployed version, and demand it again at the end"),
]
Workers = Annotated[int, typer.Option("--workers", "-n", min=1, max=64, help="parallel pytest workers")]
ShardOption = Annotated[
    str, typer.Option("--shard", help="K/N: run the K-th of N parts; `assay merge` judges all of them")
]
Migrations = Annotated[
    Path | None,
    typer.Option(
        "--migrations", help="your supabase/migrations: the embedded target serves them, and nothing else"
    ),
]
Seed = Annotated[list[Path] | None, typer.Option("--seed", help="with --migrations: SQL to run after them")]
Config = Annotated[
    Path | None, typer.Option("--config", help="with --migrations: the config.toml; else the one beside them")
]
SkipExtension = Annotated[
    list[str] | None, typer.Option("--skip-extension", help="with --migrations: go on without this extension")
]
DefaultGrants = Annotated[
    bool | None,
    typer.Option(
        "--default-grants/--no-default-grants",
        help="with --migrations: open what is made in `public` to the API, as before 2026-10-30",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="show the output of pytest and Locust, too; logs/ keeps it anyhow"),
]
AsJson = Annotated[bool, typer.Option("--json", help="the same as one JSON document")]
State = Annotated[
    Path | None, typer.Option("--state", envvar="ASSAY_STATE", help="the embedded target's folder")
]
