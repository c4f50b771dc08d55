"""The command. Thin: each command parses its words and hands over to `runner` or `reports`.

Exit codes, everywhere: 0 gate open (or done), 1 gate closed (or checks of the harness failed), 2 usage or
configuration, 3 broken.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.exceptions import TyperException

from core.config import nearest
from core.console import adapt
from core.errors import AssayError, ConfigError
from core.text import for_log, safe
from core.version import VERSION
from runner import project_commands, stack_commands, triage_commands
from runner.options import (
    AsJson,
    Config,
    DefaultGrants,
    ExpectVersion,
    Migrations,
    Seed,
    ShardOption,
    SkipExtension,
    Target,
    TargetFile,
    Verbose,
    Workers,
)
from runner.stops import held, ignore, let_through

if TYPE_CHECKING:
    from runner.session import RunRequest

USAGE, BROKEN, INTERRUPTED = 2, 3, 130
app = typer.Typer(
    name="assay",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Decides, from evidence, whether a platform is real and fit to release.",
    epilog="Exit codes: 0 gate open, 1 gate closed, 2 usage or configuration, 3 broken.",
)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"assay {VERSION}")
        raise typer.Exit


@app.callback()
def choose_project(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            envvar="ASSAY_PROJECT",
            help="the folder with your target.toml; else this folder or its assay/, else the reference platform's",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print it and stop")
    ] = False,
) -> None:
    """Finds the project, for this command and all that it starts.

    One's own is a live target and keeps its runs in its folder, unless the user says otherwise.
    """
    from core.project import enter, find_project

    found = find_project(project)
    enter(found)
    if not found.is_reference:
        context.default_map = {name: {"target": "live"} for name in getattr(context.command, "commands", {})}


@app.command()
def validate(
    plan: Annotated[str, typer.Option(help="smoke, gate or nightly")] = "smoke",
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    expect_version: ExpectVersion = None,
    workers: Workers = 2,
    release: Annotated[
        bool, typer.Option("--release", help="the exit code is for a release: refuses embedded")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress, only the verdict")] = False,
    shard: ShardOption = "",
    verbose: Verbose = False,
) -> None:
    """Runs a plan: checks and load, then the verdict and the report. The main job."""
    from core.shard import Shard
    from runner import own_schema
    from runner.session import RunRequest, run_plan
    from runner.verdict import judge_and_write

    request = RunRequest(
        plan=plan,
        target=target,
        target_file=target_file,
        serves=own_schema.chosen(target=target),
        expect_version=expect_version,
        workers=workers,
        quiet=quiet,
        shard=Shard.parse(shard),
        verbose=verbose,
    )
    if request.shard:
        return _run_shard(request)
    with held():
        raise typer.Exit(judge_and_write(run_plan(request), release=release))


def _run_shard(request: RunRequest) -> None:
    """Runs a part that nobody judges alone."""
    from runner.merge import end_shard
    from runner.session import run_plan

    with held():
        raise typer.Exit(end_shard(run_plan(request)))


@app.command()
def nightly(
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    workers: Workers = 2,
    verbose: Verbose = False,
) -> None:
    """Runs the night's plan, keeps history, reports."""
    validate(plan="nightly", target=target, target_file=target_file, workers=workers, verbose=verbose)


@app.command()
def check(
    ids: Annotated[list[str] | None, typer.Argument(help="checks by id; all when none is named")] = None,
    plan: Annotated[
        str, typer.Option(help="the plan whose requirements still count: gate, or schema with --migrations")
    ] = "",
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    workers: Workers = 2,
    keyword: Annotated[
        str, typer.Option("-k", help="pytest's expression; does not shrink what the plan requires")
    ] = "",
    show: Annotated[bool, typer.Option("--list", help="list the checks and stop")] = False,
    as_json: AsJson = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="a picture of each browser step")] = False,
    browser: Annotated[
        str, typer.Option("--browser", help="chromium, firefox or webkit, where Playwright's build exists")
    ] = "",
    migrations: Migrations = None,
    seed: Seed = None,
    config: Config = None,
    skip_extension: SkipExtension = None,
    default_grants: DefaultGrants = None,
    base: Annotated[str, typer.Option(help="with own migrations: a commit or folder to compare with")] = "",
    shard: ShardOption = "",
    verbose: Verbose = False,
) -> None:
    """Runs checks without load, then judges them. Selecting fewer does not shrink what the plan requires."""
    from core.shard import Shard
    from runner import own_schema
    from runner.compare import judge_beside
    from runner.listing import show_checks
    from runner.session import RunRequest

    if show:
        return show_checks(as_json=as_json)
    if browser not in ("", "chromium", "firefox", "webkit"):
        raise ConfigError(f"there is no browser '{browser}'; known are chromium, firefox, webkit.")
    arguments = [*(["-k", keyword] if keyword else []), *(["--pictures"] if pictures else [])]
    arguments += ["--browser", browser] if browser else []
    serves = own_schema.chosen(
        migrations, seed or (), config, skip_extension or (), default_grants, target=target
    )
    request = RunRequest(
        plan=plan or ("schema" if serves else "gate"),
        target="embedded" if migrations else target,
        target_file=target_file,
        serves=serves,
        checks=ids or (),
        pytest_arguments=arguments,
        workers=workers,
        with_load=False,
        shard=Shard.parse(shard),
        verbose=verbose,
    )
    if request.shard:
        return _run_shard(request)
    with held():
        raise typer.Exit(judge_beside(request, base))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def load(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(help="a module of loadprofiles/, e.g. database")] = "",
    users: Annotated[
        int | None, typer.Option("--users", "-u", help="the peak: 50, of `step` 2000, of `smoke` at most 5")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="30s (the default), 5m, 1h; of `step` the whole search")
    ] = None,
    shape: Annotated[
        str, typer.Option("--shape", help="smoke, steady, ramp, spike, soak, or step: looks for the knee")
    ] = "steady",
    rate: Annotated[float | None, typer.Option(help="arrivals per second, all users together")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Locust worker processes")] = 0,
    hosts: Annotated[
        Path | None, typer.Option("--hosts", help="workers are on other hosts, which share this folder")
    ] = None,
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    show: Annotated[bool, typer.Option("--list", help="list the load profiles and stop")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Runs one load profile against the target, then judges what it measured."""
    if show:
        from runner.listing import show_profiles

        return show_profiles(as_json=as_json)
    if not profile:
        raise ConfigError("name a load profile, e.g. `assay load database`; `assay load --list` shows them.")
    from runner.single_load import run_profile
    from runner.verdict import judge_and_write

    with held():
        directory = run_profile(
            profile,
            users=users,
            duration=duration,
            rate=rate,
            workers=workers,
            target=target,
            target_file=target_file,
            shape=shape,
            more=[*(["--hosts", str(hosts.absolute())] if hosts else []), *context.args],
            verbose=verbose,
        )
        raise typer.Exit(judge_and_write(directory))


@app.command()
def drill(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="defects by id or its beginning, requirement, service, kind, healthy, subtle"
        ),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="a folder of your own defects")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="one defect a requirement")] = False,
    shard: Annotated[str, typer.Option("--shard", help="K/N: the K-th of N parts")] = "",
    resume: Annotated[Path | None, typer.Option("--resume", help="go on with this drill's folder")] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="run all checks of the requirement, so that noise shows")
    ] = False,
    workers: Workers = 3,
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
) -> None:
    """Plants known faults one after the other, and says which of them the checks see."""
    from runner.drill.catalogue import SHIPPED
    from runner.drill.drill import Wish, run_drill

    chosen = [*(only or ()), *(["smoke"] if smoke else ())]
    wish = Wish(chosen, catalogue or SHIPPED, shard, workers, wide, resume, target, target_file)
    raise typer.Exit(run_drill(wish))


@app.command()
def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="run folders or ids; the newest when none is named")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--open", help="serve it on this machine and print the address")
    ] = False,
    objectives: Annotated[Path | None, typer.Option(help="judge by this file of objectives instead")] = None,
) -> None:
    """Judges runs again from their journals and writes their reports; two runs are compared."""
    from runner.verdict import report_runs

    raise typer.Exit(report_runs(runs or [], serve_it=serve, objectives=objectives))


@app.command()
def merge(
    shards: Annotated[list[Path], typer.Argument(help="the folders of a run's shards, made by --shard K/N")],
    release: Annotated[
        bool, typer.Option("--release", help="the exit code is for a release: refuses embedded")
    ] = False,
) -> None:
    """Puts the shards of one run together, judges the whole and writes its reports."""
    from runner.merge import merge as merge_shards
    from runner.verdict import find, judge_and_write

    raise typer.Exit(judge_and_write(merge_shards([find(path) for path in shards]), release=release))


@app.command("runs")
def list_runs(
    most: Annotated[int, typer.Option("--most", min=1, help="the newest so many")] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists the runs that are kept here, the newest first, with their verdicts."""
    from runner.listing import show_runs

    show_runs(most, as_json=as_json)


@app.command()
def gate(
    run: Annotated[
        Path | None, typer.Argument(help="a run's folder or id; the newest when none is named")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="decide about a release: refuses the embedded target")
    ] = False,
) -> None:
    """Prints required, ran, not covered, waived and the verdict of a run, and exits by it."""
    from runner.verdict import gate_run

    raise typer.Exit(gate_run(run, release=release))


@app.command()
def doctor(
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    plan: Annotated[str, typer.Option(help="the plan to foretell coverage for")] = "gate",
    capabilities: Annotated[
        bool, typer.Option("--capabilities", help="list every capability and stop")
    ] = False,
    migrations: Migrations = None,
    load: Annotated[
        bool, typer.Option("--load", help="measure for ten seconds what this machine can send, and stop")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reads only: is every variable there and accepted, does each witness answer, what would be covered?"""
    from runner import doctor, own_schema

    if load:
        from runner.generator import tell

        raise typer.Exit(tell(as_json=as_json))
    if capabilities:
        raise typer.Exit(doctor.list_capabilities(as_json=as_json))
    serves = own_schema.chosen(migrations, target=target)
    kind = "embedded" if migrations else target
    raise typer.Exit(doctor.examine(kind, target_file, plan, as_json=as_json, serves=serves))


@app.command()
def sweep(
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    dry: Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")] = False,
) -> None:
    """Removes what dead runs left behind, by their ledgers."""
    from runner.sweep import sweep_runs

    raise typer.Exit(sweep_runs(target, target_file, dry=dry))


@app.command()
def watch(
    target: Target = "embedded",
    target_file: TargetFile = Path("target.toml"),
    every: Annotated[str, typer.Option(help="between two rounds of probes: 30s, 1m")] = "30s",
    duration: Annotated[str, typer.Option("--for", help="10m, 8h; without it, until it is ended")] = "",
    objective: Annotated[float, typer.Option(min=50, max=99.999, help="availability in percent")] = 99.9,
    state: Annotated[
        Path | None, typer.Option("--keep", help="the watch's own folder  [default: .assay/watch/<target>]")
    ] = None,
) -> None:
    """Probes every service on a schedule: availability, error budget, alerts, a status page. Reads only."""
    from core.clock import seconds
    from core.run import ROOT
    from runner.watch.watching import WatchRequest, watch_target

    request = WatchRequest(
        target=target,
        target_file=target_file,
        state=state or ROOT / ".assay" / "watch" / target,
        every=seconds(every),
        lasting=seconds(duration) if duration else 0.0,
        objective=objective / 100,
    )
    raise typer.Exit(watch_target(request, lambda text: print(text, flush=True)))


@app.command("test")
def self_test(
    fast: Annotated[bool, typer.Option("--fast", help="leave the checks on the embedded target out")] = False,
    workers: Workers = 2,
) -> None:
    """Tests Assay itself: lint, types, its own tests, and the checks on the embedded target."""
    from runner.selftest import run_tests

    raise typer.Exit(run_tests(fast=fast, workers=workers))


triage_commands.add(app)
stack_commands.add(app)
project_commands.add(app)


def _project_first(words: Sequence[str]) -> list[str]:
    """The command line with `--project DIR` before the command, wherever it was written."""
    for number, word in enumerate(words):
        long = word == "--project"
        if long or word.startswith("--project="):
            end = number + (2 if long else 1)
            return [*words[number:end], *words[:number], *words[end:]]
    return list(words)


def main() -> int:
    """Runs the command. Every error is one sentence and one of the four exit codes, also one that nobody foresaw."""
    adapt(sys.stdout, sys.stderr)
    try:
        let_through()
        code = app(_project_first(sys.argv[1:]), prog_name="assay", standalone_mode=False)
        if code == INTERRUPTED:  # Typer's word for an interrupt
            raise KeyboardInterrupt
    except NoArgsIsHelpError as error:
        print(error.format_message())
        return USAGE
    except TyperException as error:
        said = error.format_message() if isinstance(error, ClickException) else str(error)
        return _say(_with_nearest(said), USAGE)
    except SystemExit:  # Typer's own end when nobody reads its output any more
        return BROKEN
    except ConfigError as error:
        return _say(f"{error}", USAGE)
    except AssayError as error:
        return _say(f"broken: {error}", BROKEN)
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped by the user; what was recorded is kept, and `assay report` judges it", BROKEN)
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        return _say(f"broken: {error.strerror or error}{named}", BROKEN)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return _say(f"broken: a fault of Assay itself, {type(error).__name__} at {where}: {error}", BROKEN)
    return code if isinstance(code, int) else 0


def _with_nearest(said: str) -> str:
    """The parser's sentence, for an unknown command with the nearest one there is."""
    first, _, more = said.partition("\n")
    if named := re.match(r"No such command '([^']*)'", first):
        close = nearest(
            named[1], [str(c.name or (c.callback and c.callback.__name__)) for c in app.registered_commands]
        )
        return f"{named[0]}; {close}"
    return f"{' '.join(f'{first} {more}'.split())} (`assay --help` shows what there is)"


def _say(text: str, code: int) -> int:
    err.print(Text(f"assay: {for_log(safe(text, 4000))}", style="red"))
    return code


if __name__ == "__main__":
    code = main()
    ignore()
    sys.exit(code)
