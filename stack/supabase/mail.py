"""The mailbox: what the Auth wire sends lands here, readable through Mailpit's API (GET /api/v1/messages and so on)."""

from __future__ import annotations

import html
import re
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.supabase.http import Receive, Request, Response, Scope, Send, json_response, respond

KEPT = 5000


@dataclass(frozen=True)
class Mail:
    """One message."""

    id: str
    to: str
    subject: str
    html: str
    at: datetime

    @property
    def text(self) -> str:
        """The HTML as plain text; a link's address stands in parentheses after its words."""
        linked = re.sub(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', r"\2 ( \1 )", self.html, flags=re.S)
        return html.unescape(re.sub(r"<[^>]+>", "", linked)).strip()

    def summary(self) -> dict[str, Any]:
        """As in Mailpit's list."""
        return {
            "ID": self.id, "MessageID": f"{self.id}@embedded.test", "Read": False,
            "From": {"Name": "Supabase Auth", "Address": "noreply@mail.app.supabase.io"},
            "To": [{"Name": "", "Address": self.to}], "Cc": [], "Bcc": [], "ReplyTo": [], "Subject": self.subject,
            "Created": self.at.isoformat().replace("+00:00", "Z"), "Tags": [], "Size": len(self.html), "Attachments": 0,
            "Snippet": self.text[:250],
        }  # fmt: skip

    def whole(self) -> dict[str, Any]:
        """As in Mailpit's message."""
        return {
            **self.summary(),
            "Date": self.summary()["Created"],
            "HTML": self.html,
            "Text": self.text,
            "Inline": [],
        }


class Mailbox:
    """The newest messages of everybody, newest first."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)

    def deliver(self, to: str, subject: str, body: str) -> None:
        """Receive one."""
        self._mails.appendleft(Mail(uuid.uuid4().hex, to, subject, body, datetime.now(UTC)))

    def search(self, query: str = "") -> list[Mail]:
        """Messages whose every ``to:``, ``subject:`` or bare word matches; all of them for an empty query."""
        return [mail for mail in self._mails if all(_matches(mail, word) for word in query.split())]

    def get(self, which: str) -> Mail | None:
        """One by id, or the newest by ``latest``."""
        if which == "latest":
            return self._mails[0] if self._mails else None
        return next((mail for mail in self._mails if mail.id == which), None)

    def delete(self, which: list[str]) -> None:
        """Delete these, or everything if none is named."""
        kept = [mail for mail in self._mails if which and mail.id not in which]
        self._mails = deque(kept, maxlen=KEPT)


def _matches(mail: Mail, word: str) -> bool:
    name, _, value = word.partition(":")
    value = value.strip('"').lower()
    if name == "to":
        return value in mail.to.lower()
    if name == "subject":
        return value in mail.subject.lower()
    return word.strip('"').lower() in (mail.subject + mail.to + mail.text).lower()


class MailApi:
    """The mailbox over HTTP, on its own port: the part of Mailpit's API that reads and deletes."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            response = await self._answer(request)
            response.headers["access-control-allow-origin"] = "*"
            await respond(send, response, request.method == "HEAD")

    async def _answer(self, request: Request) -> Response:
        params = dict(request.params())
        if request.path in ("/api/v1/messages", "/api/v1/search"):
            query = params.get("query", "")
            found = self._mailbox.search(query)
            if request.method == "DELETE":
                body = await request.body()
                named: list[str] = re.findall(r'"([0-9a-f]{32})"', body.decode("utf-8", "replace"))
                self._mailbox.delete([m.id for m in found] if query else named)
                return Response(200, b"ok", {"content-type": "text/plain"})
            start, limit = int(params.get("start", 0) or 0), int(params.get("limit", 50) or 50)
            messages = [mail.summary() for mail in found[start : start + limit]]
            return json_response({
                "total": len(self._mailbox.search()), "unread": len(found), "count": len(messages), "start": start,
                "messages_count": len(found), "messages": messages, "tags": [],
            })  # fmt: skip
        if (one := re.fullmatch(r"/api/v1/message/(\w+)", request.path)) and (
            mail := self._mailbox.get(one[1])
        ):
            return json_response(mail.whole())
        return json_response({"Error": "not found"}, 404)
