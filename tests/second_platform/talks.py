"""The second platform's rooms: another message protocol than the reference platform's, and numbers that rise by ten.

`GET /v2/talk/{room}?key=TOKEN&after=N` (upgrade). A member sends `{"say", "ref"}`; a room says `{"k": "hello", "upto",
"past"}`, `{"k": "line", "no", "by", "words", "ref"}` and `{"k": "noted", "ref", "no", "again"}`. Nobody is told who is
there. `GET /v2/talk/{room}/lines?after=N&most=M` answers `{"lines": [...]}`.
"""

import json
from collections import defaultdict

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

NEWCOMER, MOST, STEP = 20, 100, 10


class Talks:
    def __init__(self, platform):
        self.platform = platform
        self.kept = defaultdict(list)
        self.here = defaultdict(set)

    async def lines(self, request: Request):
        if await self.platform.user(request) is None:
            return self.platform.refuse(401, "who are you?")
        try:
            after, most = (int(request.query_params.get(name, "")) for name in ("after", "most"))
        except ValueError:
            return self.platform.refuse(400, "say which lines, and how many")
        found = [line for line in self.kept[request.path_params["room"]] if line["no"] > after]
        return self.platform.answer({"lines": found[: min(most, MOST)]})

    async def talk(self, socket: WebSocket):
        user = await self.platform.whose(socket.query_params.get("key", ""))
        if user is None:
            await socket.send_denial_response(JSONResponse({"message": "who are you?"}, 401))
            return
        await socket.accept()
        room = socket.path_params["room"]
        kept, after = self.kept[room], socket.query_params.get("after")
        past = kept[-NEWCOMER:] if after is None else [ln for ln in kept if ln["no"] > int(after)][:MOST]
        upto = kept[-1]["no"] if kept else 0
        await socket.send_json({"k": "hello", "upto": upto, "past": past})
        self.here[room].add(socket)
        try:
            while True:
                await self.heard(room, socket, user["id"], json.loads(await socket.receive_text()))
        except WebSocketDisconnect:
            self.here[room].discard(socket)

    async def heard(self, room, socket, who, said):
        kept = self.kept[room]
        known = next((ln for ln in kept if (ln["by"], ln["ref"]) == (who, said["ref"])), None)
        line = known or {"no": STEP * (len(kept) + 1), "by": who, "words": said["say"], "ref": said["ref"]}
        if known is None:
            kept.append(line)
            lost = "loses a line" in self.platform.faults and len(kept) % 7 == 3
            for other in list(self.here[room]):
                if other is socket or not lost:
                    try:
                        await other.send_json({"k": "line", **line})
                    except (WebSocketDisconnect, RuntimeError):
                        self.here[room].discard(other)
        await socket.send_json(
            {"k": "noted", "ref": line["ref"], "no": line["no"], "again": known is not None}
        )
