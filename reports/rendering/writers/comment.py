"""comment.md and slack.txt: the verdict in a few lines with its causes and a link, for a pull request and for a chat."""

from __future__ import annotations

from pathlib import Path

from reports.judging.cause_groups import CauseGroup, grouped
from reports.judging.model import RunVerdict
from reports.judging.verdict_table import STATES
from reports.rendering.formatting import count
from reports.rendering.link import report_link
from reports.rendering.writers.markdown import plain

ORDER = 10
MOST = 5
MARKER = "<!-- assay -->"
"""The comment's first line: a job that finds it on the pull request changes that comment and adds none."""


_SINCE = {
    "newly_failing": "newly failing",
    "recovered": "fixed",
    "slower": "slower",
    "no_longer_covered": "no longer covered",
}


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes both."""
    link = report_link(run_dir)
    comment, slack = run_dir / "comment.md", run_dir / "slack.txt"
    comment.write_text(comment_text(verdict, link), encoding="utf-8")
    slack.write_text(slack_text(verdict, link), encoding="utf-8")
    return [comment, slack]


def comment_text(verdict: RunVerdict, link: str) -> str:
    """Markdown of at most a dozen lines."""
    lines = [MARKER, f"**{STATES[verdict.state].glyph} {plain(verdict.headline)}**", ""]
    groups = grouped(verdict)
    lines += [f"- **{STATES[g.state].word}** {plain(_cause(g))}" for g in groups[:MOST]]
    if len(groups) > MOST:
        lines.append(f"- and {count(len(groups) - MOST, 'more cause', 'more causes')}")
    since = _since(verdict)
    where = f"[The report]({link})" if "://" in link else f"The report: `{link}`"
    lines += [
        "",
        *([f"Since the last run: {since}."] if since else []),
        f"{where} of run `{verdict.run}`.",
        "",
    ]
    return "\n".join(lines)


def slack_text(verdict: RunVerdict, link: str) -> str:
    """Slack's own markup: `&`, `<` and `>` escaped, as its documentation of formatting demands."""
    lines = [f"*{STATES[verdict.state].glyph} {_escaped(verdict.headline)}*"]
    lines += [f"• {STATES[g.state].word}: {_escaped(_cause(g))}" for g in grouped(verdict)[:MOST]]
    lines.append(f"<{link}|The report of {verdict.run}>" if "://" in link else f"{link}")
    return "\n".join(lines) + "\n"


def _cause(group: CauseGroup) -> str:
    service = f"{group.service}: " if group.service else ""
    many = f" ({group.count:,} {group.kind}s, first {group.members[0].who})" if group.count > 1 else ""
    return f"{service}{group.text.strip().splitlines()[0][:300]}{many}"


def _since(verdict: RunVerdict) -> str:
    stated = verdict.since_last
    return ", ".join(f"{len(stated[key])} {word}" for key, word in _SINCE.items() if stated.get(key))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
