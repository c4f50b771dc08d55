"""Decide what is stale, make it under the setup lock, hand over to cli.py.

A warm start reads a few stamps and two lock files and replaces itself by the environment's Python. Everything
else is imported only when there is something to make.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from launcher import locks
from launcher.console import BROKEN, USAGE, SetupError, from_os, say, step
from launcher.need import EVERYTHING, Need, need_of
from launcher.project import Project, installer_env, locked
from launcher.stamps import MADE, WORKING, Stamp, load, save

LAYOUT = "1"
"""Part of every key: raise it when an older launcher's environment no longer serves."""

SETUP = """usage: ./assay setup [--again] [COMMAND ...]

Makes or updates this checkout's environment, checks every file of its packages, and runs nothing in it.
Every other command makes what is missing first. With a COMMAND and its options only what that one needs is made:
nothing of the embedded target for a run on a live one, and a browser only for browser flows.

  --again   throw away what is there, .assay/venv and node_modules, and make them anew
"""


def main(arguments: list[str]) -> NoReturn:
    """Set up what is stale, then become `python cli.py ARGUMENTS` where the caller stands; or exit in one sentence."""
    project = Project(Path(__file__).resolve().parents[1])
    try:
        if arguments[:1] == ["setup"]:
            _setup(project, arguments[1:])
            sys.exit(0)
        need = need_of(arguments, os.environ, project.root, Path.cwd())
        text = recorded_help(project, arguments)
        if text and stale(project, installer_env(project, os.environ), need):
            print(text, end="")
            sys.exit(0 if arguments else USAGE)
        env = prepare(project, os.environ, need)
        if not (project.root / "cli.py").exists():
            raise SetupError(
                "cli.py is missing beside ./assay: restore it with `git checkout -- cli.py`.", USAGE
            )
        _hand_over(project, env, arguments)
    except SetupError as error:
        say(str(error))
        sys.exit(error.code)
    except KeyboardInterrupt:
        say("interrupted; the next run finishes the setup.")
        sys.exit(BROKEN)


def recorded_help(project: Project, arguments: list[str]) -> str:
    """What `--help` and `--version` say, as recorded in launcher/help: in a fresh clone they install nothing."""
    folder = project.root / "launcher" / "help"
    if "--version" in arguments[:1]:
        text = (project.root / "core" / "version.py").read_text(encoding="utf-8")
        return f"assay {text.partition('Final = ')[2].split()[0].strip(chr(34))}\n"
    wanted = not arguments or "--help" in arguments
    words = [word for word in arguments if not word.startswith("-")]
    path = folder / f"{words[0] if words else 'assay'}.txt"
    if not wanted or path.parent != folder or not path.is_file():
        return ""
    return path.read_text(encoding="utf-8")


def _setup(project: Project, options: list[str]) -> None:
    if options in (["--help"], ["-h"]):
        print(SETUP, end="")
        return
    again = options[:1] == ["--again"]
    command = options[1:] if again else options
    if command and command[0].startswith("-") and command[0].partition("=")[0] != "--project":
        raise SetupError(f"./assay setup has no option {' '.join(options)!r}; it has --again.", USAGE)
    need = need_of(command, os.environ, project.root, Path.cwd()) if command else EVERYTHING
    env = prepare(project, os.environ, need, again=again, check=True)
    say(f"ready: {project.python}; browser: {env.get('ASSAY_BROWSER') or 'none'}")


def _hand_over(project: Project, env: dict[str, str], arguments: list[str]) -> NoReturn:
    argv = [str(project.python), str(project.root / "cli.py"), *arguments]  # paths are the caller's
    for last in (False, True):
        try:
            sys.stdout.flush()
            # An interpreter that starts answers an interrupt by a traceback: runner/stops.py takes it when it can.
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            os.execve(argv[0], argv, env)  # noqa: S606 - handing over is the point
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
            if last:
                raise from_os(error, f"starting {argv[0]}") from error
            say(f"the environment's Python does not start ({error.strerror}): making it anew")
            save(project, Stamp("python", WORKING))
            env = prepare(project, os.environ, need_of(arguments, os.environ, project.root, Path.cwd()))
    raise AssertionError("unreachable")


def prepare(
    project: Project,
    environ: Mapping[str, str],
    need: Need = EVERYTHING,
    *,
    again: bool = False,
    check: bool = False,
) -> dict[str, str]:
    """Bring every part that is needed up to date and return the variables for commands inside. Raises SetupError.

    `again` makes all of it anew; `check` looks at every installed file, and once more for a browser and a
    server that were not to be had before.
    """
    env = installer_env(project, environ)
    if again or check or stale(project, env, need):
        signal.signal(signal.SIGTERM, _terminated)
        try:
            with locked(project) as descriptor:
                _make(project, env, need, descriptor, again=again, check=check)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Many images forbid bytecode, so as to stay clean: compiling every module in every process doubled a run's CPU time.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = str(project.state / "pycache")
    env["VIRTUAL_ENV"] = str(project.venv)
    env["PATH"] = f"{project.venv / 'bin'}{os.pathsep}{env['PATH']}"
    if _wants_browser(project):
        for name, value in load(project, "browser").facts.get("variables", {}).items():
            env.setdefault(name, value)
        if env.get("ASSAY_BROWSER"):  # a bare name works too
            env["ASSAY_BROWSER"] = (
                shutil.which(env["ASSAY_BROWSER"], path=env["PATH"]) or env["ASSAY_BROWSER"]
            )
    return env


def _terminated(number: int, frame: object) -> NoReturn:
    say("ended by a signal; the next run finishes the setup.")
    sys.exit(BROKEN)


# What belongs to this checkout. A part is wanted when the files that pin or use it exist.


def _environments(project: Project, need: Need) -> dict[str, tuple[Path, Path]]:
    """Part -> (folder, lock file) of each Python environment."""
    found = {"python": (project.venv, project.root / "locks" / "assay.txt")}
    bugsink = project.root / "locks" / "bugsink.txt"
    if need.embedded and bugsink.exists():
        found["bugsink"] = (project.state / "bugsink-venv", bugsink)
    vector = project.root / "locks" / "vector.txt"
    if need.vector and vector.exists():
        found["vector"] = (project.state / "vector-venv", vector)
    return found


def _wants_node(project: Project) -> bool:
    return (project.root / "package-lock.json").exists()


def _wants_browser(project: Project) -> bool:
    return (project.root / "locks" / "browser").is_dir()


def _wants_postgres(project: Project) -> bool:
    return (project.root / "stack" / "postgres").is_dir()


def _python_key(project: Project, lock: Path) -> str:
    return locks.digest(LAYOUT, str(project.root), locks.read(lock))


def _node_key(project: Project) -> str:
    lock, asked = project.root / "package-lock.json", project.root / "package.json"
    return locks.digest(LAYOUT, locks.read(lock), locks.read(asked), os.uname().sysname, os.uname().machine)


def _browser_key(project: Project, env: Mapping[str, str]) -> str:
    return locks.digest(
        LAYOUT,
        env.get("PLAYWRIGHT_BROWSERS_PATH", ""),
        locks.read(project.root / "locks" / "browser" / "package-lock.json"),
    )


def stale(project: Project, env: Mapping[str, str], need: Need = EVERYTHING) -> bool:
    """Something that is needed must be made or looked for: decided from stamps and names alone, in milliseconds."""
    for part, (folder, lock) in _environments(project, need).items():
        if not _python_fresh(load(project, part), folder, _python_key(project, lock)):
            return True
    if need.npm and _wants_node(project) and not _fresh(load(project, "node"), _node_key(project)):
        return True
    if need.postgres and _wants_postgres(project) and load(project, "postgres").state != MADE:
        return True
    if _wants_postgres(project) and any(
        load(project, f"extension-{e}").state != MADE for e in need.extensions
    ):
        return True
    return need.browser and _wants_browser(project) and not _browser_fresh(project, env)


def _fresh(stamp: Stamp, key: str) -> bool:
    return stamp.state == MADE and stamp.key == key and stamp.whole()


def _python_fresh(stamp: Stamp, folder: Path, key: str) -> bool:
    python = folder / "bin" / "python"
    real = os.path.realpath(python)  # an upgraded system Python shows as another real path
    return _fresh(stamp, key) and stamp.facts.get("interpreter") == real and os.access(real, os.X_OK)


def _browser_fresh(project: Project, env: Mapping[str, str]) -> bool:
    stamp = load(project, "browser")
    if stamp.state != MADE or stamp.key != _browser_key(project, env):
        return False
    wanted = env.get("ASSAY_BROWSER")  # ours too: a command inside may call ./assay again
    if wanted:
        return shutil.which(wanted, path=env.get("PATH")) is not None
    path = stamp.facts.get("path", "")
    if path:
        return os.access(path, os.X_OK)
    appeared = any(shutil.which(name, path=env.get("PATH")) for name in stamp.facts.get("names", []))
    return bool(stamp.facts.get("tried")) and not appeared


def _make(
    project: Project, env: Mapping[str, str], need: Need, descriptor: int, *, again: bool, check: bool
) -> None:
    for part, (folder, lock) in _environments(project, need).items():
        _make_python(project, env, need, descriptor, part, folder, lock, again=again, check=check)
    if need.npm and _wants_node(project):
        _make_node(project, env, descriptor, again=again, check=check)
    if need.postgres and _wants_postgres(project):
        _find_postgres(project, env, descriptor, check=again or check)
    for extension in need.extensions if _wants_postgres(project) else ():
        _find_extension(project, env, descriptor, extension, check=again or check)
    if need.browser and _wants_browser(project):
        _find_browser(project, env, descriptor, check=again or check)


def _make_python(
    project: Project,
    env: Mapping[str, str],
    need: Need,
    descriptor: int,
    part: str,
    folder: Path,
    lock: Path,
    *,
    again: bool,
    check: bool,
) -> None:
    from launcher import python

    stamp, key = load(project, part), _python_key(project, lock)
    if not (again or check) and _python_fresh(stamp, folder, key):
        return
    pins = locks.python_pins(lock)
    title = f"Python packages: {len(pins)} from locks/{lock.name}"

    def build() -> Stamp:
        with step(title) as running:
            python.bring_up(
                python.Installation(
                    project, folder, lock, project.venv / "bin" / "uv", env, running, descriptor
                ),
                afresh=again or stamp.state == WORKING,
            )
            if part == "python":
                python.editable(project)
        done = Stamp(part, MADE, key, {"interpreter": os.path.realpath(folder / "bin" / "python")})
        packages = project.site_packages(folder)
        done.record(folder, folder / "bin", *([packages] if packages else []))
        return done

    _guarded(project, part, build)
    if part == "python" and _wants_node(project):
        from launcher import node

        node.link(project, demanded=need.npm)


def _make_node(
    project: Project, env: Mapping[str, str], descriptor: int, *, again: bool, check: bool
) -> None:
    from launcher import node

    stamp, key = load(project, "node"), _node_key(project)
    if not (again or check) and _fresh(stamp, key):
        return
    packages = locks.npm_packages(project.root / "package-lock.json")
    modules = project.root / "node_modules"

    def build() -> Stamp:
        with step(f"npm packages: {len(packages)} from package-lock.json") as running:
            node.bring_up(project, env, running, descriptor, afresh=again or stamp.state == WORKING)
        done = Stamp("node", MADE, key)
        done.record(modules, *sorted(modules.glob("@*")))
        return done

    _guarded(project, "node", build)


def _find_postgres(project: Project, env: Mapping[str, str], descriptor: int, *, check: bool) -> None:
    from launcher import system

    if not check and load(project, "postgres").state == MADE:
        return
    found = system.postgres(project, env)
    if not found and system.may_install(env):
        with step("PostgreSQL: the system's package postgresql (as root)") as running:
            system.keep_clusters_out()
            system.apt(project, "postgresql", env, running, descriptor)
        found = system.postgres(project, env)
    if not found:
        say(system.NO_POSTGRES)
    save(project, Stamp("postgres", MADE, facts={"path": found}))


def _find_extension(
    project: Project, env: Mapping[str, str], descriptor: int, extension: str, *, check: bool
) -> None:
    """Whatever comes of it: where the extension is not there, the run that would need it says so."""
    from launcher import system

    part = f"extension-{extension}"
    if not check and load(project, part).state == MADE:
        return
    server = Path(load(project, "postgres").facts.get("path", ""))
    package = system.extension_package(project, server, extension)
    if package and system.may_install(env):
        with step(f"{extension}: the system's package {package} (as root)") as running:
            system.apt(project, package, env, running, descriptor)
    save(project, Stamp(part, MADE))


def _find_browser(project: Project, env: Mapping[str, str], descriptor: int, *, check: bool) -> None:
    from launcher import browser

    if not check and _browser_fresh(project, env):
        return
    named = browser.named(env)
    path = browser.find(project, env)
    tried = not path and not named
    if tried:
        with step("Chromium") as running:
            path = browser.install(project, env, running, descriptor)
        if not path:
            say(browser.NONE)
    variables = browser.playwright_env(project, env) | ({"ASSAY_BROWSER": path} if path else {})
    facts = {"path": path, "tried": tried, "names": list(browser.NAMES), "variables": variables}
    save(project, Stamp("browser", MADE, _browser_key(project, env), facts))


def _guarded(project: Project, part: str, build: Callable[[], Stamp]) -> None:
    """Build a part so that a setup which does not reach its end leaves a stamp that says so."""
    save(project, Stamp(part, WORKING))
    try:
        stamp = build()
    except OSError as error:
        raise from_os(error, f"making {part}") from error
    save(project, stamp)
