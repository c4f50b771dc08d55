"""JSON that is no JSON: a client says so with its service's name, however deep or strangely encoded it is."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.http import GuardedTransport, json_of
from clients.http_port import WireAnswer
from clients.sdk import guarded
from clients.services import rooms
from clients.services.rooms import RoomSocket
from clients.strict_json import DEEPEST, read_json
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DEEP = [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000]
DEEP += [b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), b"[NaN]", b"[-Infinity]", b"9" * 100_000]


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_only_utf_8_is_read(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-8", "surrogatepass")
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="utf-8"):
            read_json(whole)
        return
    assert read_json(whole) == read_json(text) == value
    for other in ("utf-16", "utf-16-le", "utf-32-be"):
        with pytest.raises(ValueError):
            read_json(f"[{text}]".encode(other))


@pytest.mark.parametrize("content", [*DEEP, '{"a": "é"}'.encode("utf-16")], ids=range(len(DEEP) + 1))
def test_every_reader_names_the_service(content: bytes) -> None:
    permit = Permit(EVERYTHING, frozenset({"127.0.0.1"}))
    kind = {"content-type": "application/json"}
    inner = httpx.MockTransport(lambda _: httpx.Response(200, headers=kind, content=content))
    with httpx.Client(transport=GuardedTransport("kv", permit, inner=inner)) as client:
        answer = client.get("http://127.0.0.1/")
    with pytest.raises(ServiceError, match=r"^kv: "):
        json_of(answer, "kv")
    with pytest.raises(ServiceError, match=r"^kv: "):
        WireAnswer("kv", "GET /", 200, answer.headers, content, 0, 0, 0).json()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_an_sdk_is_given_json_in_utf_8_alone(encoding: str) -> None:
    """httpx would guess UTF-16 and 32, and nine checks were met on such answers."""
    permit = Permit(EVERYTHING, frozenset({"127.0.0.1"}))
    kind = {"content-type": "application/json"}
    body = '{"a": "é"}'.encode(encoding)
    inner = httpx.MockTransport(lambda _: httpx.Response(200, headers=kind, stream=httpx.ByteStream(body)))
    with (
        httpx.Client(
            transport=GuardedTransport("supabase.auth", permit, inner=inner),
            headers={"Accept": "application/json"},
        ) as client,
        pytest.raises(ServiceError, match=r"^supabase\.auth: .*no UTF-8"),
    ):
        client.get("http://127.0.0.1/")


def test_an_sdk_that_falls_into_depth_names_the_service() -> None:
    class Client:
        def read(self) -> Any:
            return json.loads(DEEP[0])

    with pytest.raises(ServiceError, match=r"^kv: "):
        guarded(Client(), "kv").read()


class Flood:
    """A socket that gives these frames, and then the last of them without end."""

    def __init__(self, *frames: str | bytes) -> None:
        self._frames = list(frames)

    def recv(self) -> str | bytes:
        return self._frames.pop(0) if len(self._frames) > 1 else self._frames[0]


@pytest.mark.parametrize("frame", ["[" * 100_000, '{"a":' * 50_000, "{" + "[" * 10, b"\xff\xfe{"])
def test_a_room_that_sends_nonsense_is_named(monkeypatch: pytest.MonkeyPatch, frame: str | bytes) -> None:
    monkeypatch.setattr(rooms, "MOST", 3_000_000)

    class Wire:
        def heard(self, value: Any) -> Any:
            return value

    frame = b"{" + frame[1:] if isinstance(frame, bytes) else frame if frame[0] == "{" else f'{{"a":{frame}'
    member = RoomSocket(Flood(frame), "r", Wire())  # type: ignore[arg-type]
    with pytest.raises(ServiceError, match=r"^rooms: room r sent (a frame that is no JSON|more than)"):
        member.wait(lambda _: False, claim="x", within=30)


def test_a_room_that_floods_its_members_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST", 300_000)

    class Wire:
        def heard(self, value: Any) -> Any:
            return value

    member = RoomSocket(Flood('{"type": "presence"}'), "r", Wire())  # type: ignore[arg-type]
    with pytest.raises(ServiceError, match=r"^rooms: room r sent more than 300000 bytes"):
        member.wait(lambda _: False, claim="x", within=30)
