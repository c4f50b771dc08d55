"""A person's session under load: the token in use, renewed as a browser renews it, and proved to be theirs."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import orjson

from core.port import Answer
from loadengine.api import Expect, Measure, Response
from scenarios.adapter import Adapter

if TYPE_CHECKING:
    from loadengine.locust.users import LeanUser
    from loadprofiles.users.room_member import RoomMember


EARLY = 120.0
"""Seconds before its end at which a token is renewed."""


class UserSession:
    """Renewing hands the new token to the person's seat in a room, too."""

    def __init__(self, user: LeanUser, adapter: Adapter, member: RoomMember, **labels: str) -> None:
        person = user.person
        self._token, self._refresh_token = person.token, person.refresh_token
        self._ends = person.expires_at
        self._user, self._adapter, self._member = user, adapter, member
        self._busy = False
        self._ports = {
            kind: user.port(Measure("auth", kind=kind, **labels), whose(person.id))
            for kind in ("refresh", "sign in")
        }
        self._me = user.port(Measure("auth", kind="who am I", **labels), seen_as(person.id, user.address))

    @property
    def token(self) -> str:
        """The token to send; renewed before it ends, as the SDKs do."""
        if self._ends and time.time() > self._ends - EARLY:
            self.refresh()
        return self._token

    def refresh(self) -> None:
        """Exchanges the refresh token; one exchange at a time, since a token is good once."""
        if not self._busy:
            self._busy = True
            try:
                self._take(self._adapter.refresh(self._ports["refresh"], self._refresh_token))
            finally:
                self._busy = False

    def sign_in(self) -> None:
        """A new session by password."""
        if not self._busy:
            self._busy = True
            person = self._user.person
            try:
                self._take(self._adapter.sign_in(self._ports["sign in"], person.email, person.password))
            finally:
                self._busy = False

    def who_am_i(self) -> None:
        """Asks the platform whom it sees, and from which address."""
        answer = self._adapter.whoami(self._me, self.token)
        if answer.status == 200 and not getattr(answer, "error", None):
            self._member.monitor.addresses.add(answer.json()["address"])

    def _take(self, answer: Answer) -> None:
        if answer.status == 200 and not getattr(answer, "error", None):
            found = answer.json()
            self._token, self._refresh_token = found["access_token"], found["refresh_token"]
            self._ends = float(found["expires_at"])
            self._member.renew(self._token)


def whose(user: str) -> Expect:
    """A session of this person: the user it names, and the subject that its token was signed for."""

    def judge(answer: Response) -> str | None:
        if answer.status != 200:
            return f"answered {answer.status}"
        found = answer.json()
        if found["user"]["id"] != user or subject(found["access_token"]) != user:
            return "another user's session"
        return None if found["refresh_token"] else "a session that cannot be renewed"

    return judge


def seen_as(user: str, address: str | None) -> Expect:
    """The platform sees this person, and the address that they send from."""

    def judge(answer: Response) -> str | None:
        if answer.status != 200:
            return f"answered {answer.status}"
        found = answer.json()
        if found["id"] != user:
            return "the platform takes a person for somebody else"
        if address and found["address"] != address:
            return "the platform sees another address than was sent from"
        return None

    return judge


def subject(token: str) -> str:
    """For whom a token was signed; empty for what is no token."""
    parts = token.split(".")
    try:
        return str(orjson.loads(base64.urlsafe_b64decode(parts[1] + "=="))["sub"])
    except (IndexError, ValueError, KeyError, TypeError):
        return ""
