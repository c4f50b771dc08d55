"""The mailbox: what the Auth wire sends lands here, readable through Mailpit's API (GET /api/v1/messages and so on)."""

from __future__ import annotations

import html
import re
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.supabase.http import Request, Response, json_response

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
            "ID": self.id, "From": {"Name": "Supabase Auth", "Address": "noreply@mail.app.supabase.io"},
            "To": [{"Name": "", "Address": self.to}], "Subject": self.subject, "Snippet": self.text[:250],
            "Created": self.at.isoformat().replace("+00:00", "Z"), "Size": len(self.html),
        }  # fmt: skip

    def whole(self) -> dict[str, Any]:
        """As in Mailpit's message."""
        return {**self.summary(), "HTML": self.html, "Text": self.text}


class Mailbox:
    """The newest messages of everybody, newest first; over HTTP the part of Mailpit's API that reads and deletes."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)

    def deliver(self, to: str, subject: str, body: str) -> None:
        """Receive one."""
        self._mails.appendleft(Mail(uuid.uuid4().hex, to, subject, body, datetime.now(UTC)))

    async def handle(self, request: Request) -> Response:
        """Answer one request, on a port of its own."""
        params = dict(request.params())
        to = params.get("query", "").partition("to:")[2].strip('"').lower()
        found = [mail for mail in self._mails if to in mail.to]
        if request.path not in ("/api/v1/messages", "/api/v1/search"):
            which = request.path.removeprefix("/api/v1/message/")
            mail = next((mail for mail in self._mails if which in (mail.id, "latest")), None)
            return json_response(mail.whole()) if mail else json_response({"Error": "not found"}, 404)
        if request.method == "DELETE":
            named = re.findall(r'"([0-9a-f]{32})"', (await request.body()).decode("utf-8", "replace"))
            gone = {mail.id for mail in found if not named or mail.id in named}
            self._mails = deque((mail for mail in self._mails if mail.id not in gone), maxlen=KEPT)
            return Response(200, b"ok", {"content-type": "text/plain"})
        start, limit = int(params.get("start") or 0), int(params.get("limit") or 50)
        messages = [mail.summary() for mail in found[start : start + limit]]
        return json_response({
            "total": len(self._mails), "count": len(messages), "start": start, "messages_count": len(found),
            "messages": messages,
        })  # fmt: skip
