"""The truth about posts and profiles, and the checks that compare an answer with it.

Each check costs some microseconds: a body that is byte for byte the one that was last found right needs no parsing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

from loadengine.api import Expect, Response
from loadengine.runtime import LoadEngine
from stack.platform.assay.posts.journeys import TITLE

PAGE = 20
_AUTHOR = ("id", "username", "display_name")
STRANGER = "another user's row"


def written(identifier: str, name: str) -> tuple[str, str]:
    """Title and body of a post that tells by itself whether it was changed."""
    title = f"{TITLE} draft {name}"
    return title, f"written under load {_seal(identifier, title)}"


def _seal(identifier: str, title: str) -> str:
    return hashlib.sha256(f"{identifier} {title}".encode()).hexdigest()


class ExpectedPosts:
    """What was made before the load, by how it is asked for; one for a process, since it remembers what it saw."""

    @classmethod
    def of(cls, engine: LoadEngine) -> ExpectedPosts:
        """The truth about the load that this engine takes part in."""
        return engine.once(cls, lambda: cls(engine.run.load.material))

    def __init__(self, made: Mapping[str, Any]) -> None:
        self._posts: list[dict[str, Any]] = made.get("posts", [])
        self._by_id = {row["id"]: row for row in self._posts}
        self._drafts: dict[str, Any] = made.get("drafts", {})
        self._profiles: dict[str, Any] = made.get("profiles", {})
        self._good: dict[str, bytes] = {}
        self.hot: str = made.get("hot", "")
        self._version = 0
        names = sorted({row["author"]["username"] for row in self._posts})
        self._names = names
        self.start = f"{TITLE} {_common(names)}"
        """How the title of every published post of this load begins."""
        self.pages = max(1, -(-len(self._posts) // PAGE))

    def somebody(self) -> str:
        """The name of somebody who has published."""
        return random.choice(self._names) if self._names else "nobody"  # noqa: S311 (a choice, not a secret)

    def latest(self, answer: Response) -> str | None:
        """The newest twenty posts with their authors; those of this load as they were made."""
        if answer.status == 200 and answer.body == self._good.get("latest"):
            return None
        rows = _rows(answer)
        if isinstance(rows, str):
            return rows
        if len(rows) != min(PAGE, len(self._posts)) or not rows:
            return f"{len(rows)} posts instead of {PAGE}"
        for row in rows:
            mine = self._by_id.get(row["id"])
            if mine is None:
                if row["title"].startswith(self.start):
                    return "a post under an id that it does not have"
                if not row["title"] or not row["author"]["id"]:
                    return "a post without title or author"
            elif any(row[key] != mine[key] for key in ("title", "body", "created_at")):
                return "a post is not as it was written"
            elif any(row["author"][key] != mine["author"][key] for key in _AUTHOR):
                return "a post under another author"
        self._good["latest"] = answer.body
        return None

    def profile(self, user: str) -> Expect:
        """One's own profile, every column."""
        wanted = self._profiles.get(user)

        def judge(answer: Response) -> str | None:
            if answer.status == 200 and answer.body == self._good.get(user):
                return None
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            if len(rows) != 1:
                return f"{len(rows)} profiles instead of one"
            if rows[0].get("id") != user:
                return STRANGER if rows[0].get("id") in self._profiles else "a profile with another id"
            if rows[0] != wanted:
                return "the profile is not as it was written"
            self._good[user] = answer.body
            return None

        return judge

    def inserted(self, user: str, identifier: str, title: str, body: str) -> Expect:
        """The row as it was sent, by its author, new."""
        wanted = {
            "id": identifier,
            "author_id": user,
            "title": title,
            "body": body,
            "status": "draft",
            "version": 1,
        }

        def judge(answer: Response) -> str | None:
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            if len(rows) != 1:
                return f"{len(rows)} rows instead of the one inserted"
            if rows[0].get("author_id") != user and rows[0].get("author_id") in self._profiles:
                return STRANGER
            if any(rows[0].get(key) != value for key, value in wanted.items()) or rows[0]["tags"]:
                return "the inserted row is not as it was sent"
            return None if rows[0]["created_at"] == rows[0]["updated_at"] else "the inserted row has two ages"

        return judge

    def audited(self, user: str, identifier: str) -> Expect:
        """One audit entry: this insert, by this person."""
        wanted = [{"actor": user, "action": "insert", "entity": "posts", "entity_id": identifier}]

        def judge(answer: Response) -> str | None:
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            return None if rows == wanted else f"{len(rows)} audit rows, not the one of this insert"

        return judge

    def search(self, name: str) -> Expect:
        """Every published post of somebody, and nothing else."""
        return self._exactly(f"search {name}", [p for p in self._posts if p["author"]["username"] == name])

    def page(self, number: int) -> Expect:
        """One page of this load's posts by id, under the right total."""
        wanted = self._posts[number * PAGE : (number + 1) * PAGE]
        exactly = self._exactly(f"page {number}", wanted)
        first = number * PAGE
        expected = f"{first}-{first + len(wanted) - 1}/{len(self._posts)}"

        def judge(answer: Response) -> str | None:
            if (cause := exactly(answer)) is not None:
                return cause
            said = answer.headers.get("content-range", "")
            return None if said == expected else f"the range says {said or 'nothing'}"

        return judge

    def drafts(self, user: str) -> Expect:
        """One's own drafts: the one made before, and those of this load, each sealed."""
        mine = self._drafts.get(user) or {}

        def judge(answer: Response) -> str | None:
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            if any(row["author_id"] != user for row in rows):
                others = [
                    row for row in rows if row["author_id"] in self._profiles and row["author_id"] != user
                ]
                return STRANGER if others else "a draft of an author who is nobody"
            if not rows or rows[0]["id"] != mine.get("id"):
                return "the oldest draft is missing"
            for row in rows:
                sealed = row["body"].endswith(_seal(row["id"], row["title"]))
                known = row["id"] == mine["id"] and all(row[k] == mine[k] for k in ("title", "body"))
                if not (sealed or known or row["id"] == self.hot):
                    return "a draft is not as it was written"
            return None

        return judge

    def changed(self, body: str) -> Expect:
        """The hot row with this body, at a version above all that were known when this change was sent."""
        floor = self._version

        def judge(answer: Response) -> str | None:
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            if len(rows) != 1 or rows[0]["id"] != self.hot or rows[0]["body"] != body:
                return "the change of the hot row was not kept"
            if rows[0]["version"] <= floor:
                return "the hot row's version did not rise"
            self._version = max(self._version, rows[0]["version"])
            return None

        return judge

    def _exactly(self, name: str, posts: list[dict[str, Any]]) -> Expect:
        wanted = [{key: row[key] for key in ("id", "title", "body")} for row in posts]

        def judge(answer: Response) -> str | None:
            if answer.status in (200, 206) and answer.body == self._good.get(name):
                return None
            rows = _rows(answer)
            if isinstance(rows, str):
                return rows
            if rows != wanted:
                return f"{len(rows)} posts, not the {len(wanted)} that were written"
            self._good[name] = answer.body
            return None

        return judge


def _rows(answer: Response) -> list[Any] | str:
    """The rows of an answer, or what is wrong with it."""
    if answer.status not in (200, 201, 206):
        return f"answered {answer.status}"
    try:
        rows = answer.json()
    except ValueError:
        return "the body is no JSON (cut or altered)"
    return rows if isinstance(rows, list) else "the body is no list of rows"


def _common(names: list[str]) -> str:
    first, last = (names[0], names[-1]) if names else ("", "")
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]
