"""Workflows and actions as GitHub runs their shell lines: expressions evaluated, one step after the other."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def evaluate(text: object, context: Mapping[str, str]) -> str:
    """A workflow value with each expression's value put in; what the context has not is empty, as on GitHub."""
    return EXPRESSION.sub(lambda found: context.get(found.group(1), ""), str(text))


def run_steps(
    steps: Sequence[Mapping[str, Any]],
    context: Mapping[str, str],
    at: Path,
    environment: Mapping[str, str],
    timeout: float = 60,
) -> tuple[int, str]:
    """Runs the steps that are shell lines until one fails. Returns its exit code and all output."""
    output = ""
    for step in steps:
        if "run" not in step:
            continue
        env = {name: evaluate(text, context) for name, text in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", evaluate(step["run"], context)],
            cwd=at, capture_output=True, text=True, timeout=timeout,
            env={"PATH": os.environ["PATH"], "CI": "true", "GITHUB_ACTIONS": "true", **environment, **env},
        )  # fmt: skip
        output += done.stdout + done.stderr
        if done.returncode:
            return done.returncode, output
    return 0, output


def run_action(
    action: Mapping[str, Any],
    given: Mapping[str, object],
    at: Path,
    environment: Mapping[str, str],
    more: Mapping[str, str] = {},
    timeout: float = 60,
) -> tuple[int, str]:
    """Runs a composite action's shell lines with these inputs; `environment` says where it lies and keeps its files."""
    inputs = {
        name: str(given.get(name, about.get("default", ""))) for name, about in action["inputs"].items()
    }
    context = {f"inputs.{name}": value for name, value in inputs.items()}
    context["inputs.target != 'embedded'"] = str(inputs["target"] != "embedded").lower()
    context["runner.temp"] = environment["RUNNER_TEMP"]
    return run_steps(action["runs"]["steps"], {**context, **more}, at, environment, timeout)
