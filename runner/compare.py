"""A run of a project's own migrations beside one of their base."""

from __future__ import annotations

from dataclasses import replace

from core.errors import ConfigError
from core.run import name_directory
from runner.access import CHECKS, Access, base_of, changes, comment
from runner.session import RunRequest, run_plan
from runner.verdict import judge_and_write

COMMENT = "access.md"


def judge_beside(request: RunRequest, base: str) -> int:
    """Runs and judges a request, and tells what changed in who may do what since `base`, if any; returns the exit code.

    The base is run first, for its matrices and findings alone; nothing of it is judged. The text for a pull request is
    written into the run's folder as `access.md`. Raises ConfigError without migrations of one's own.
    """
    if not base:
        return judge_and_write(run_plan(request))
    if request.serves is None:
        raise ConfigError("--base compares migrations of your own: name them by --migrations or [embedded].")
    before = Access()
    with base_of(request.serves, base) as serves:
        if serves:
            directory = name_directory()
            of_base = directory.with_name(f"{directory.name}-base")
            earlier = replace(
                request, serves=serves, checks=CHECKS, as_base=True, run_dir=of_base, quiet=True
            )
            before = Access.of_run(run_plan(earlier))
    run = run_plan(request)
    after = Access.of_run(run)
    (run / COMMENT).write_text(comment(before, after), encoding="utf-8")
    code = judge_and_write(run)
    print(f"\nWho may do what, since {base}:")
    for line in changes(before, after) or ["nothing changed"]:
        print(f"  {line}")
    return code
