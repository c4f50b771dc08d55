"""The second platform's own API: a small ASGI program in front of Supabase. `python -m tests.second_platform.server CONFIG`.

`faults` holds what is planted in it, by name; `POST /__faults` sets them.
"""

import asyncio
import contextlib
import gzip
import json
import posixpath
import re
import string
import sys
import time
import traceback
import uuid
from pathlib import Path

import httpx
import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from tests.second_platform.gullible import GULLIBLE, REFUSES
from tests.second_platform.talks import Talks

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LARGEST = 1024 * 1024
EXPORTS = 10
"""That one person may ask for in a minute."""
HARMLESS = {*string.ascii_letters, *string.digits, *"-_./"}
"""What a store takes in a key."""


class Platform:
    def __init__(self, config):
        self.supabase, self.key, self.service = config["supabase"], config["key"], config["service"]
        self.http = httpx.AsyncClient(timeout=20, trust_env=False)
        self.files: dict[str, tuple[str, str, str]] = {}  # by id: whose, key, type
        self.names: dict[str, str] = {}
        self.stated: dict[str, dict] = {}  # by id: what a file is said to be
        self.exports: list[tuple[int, str]] = []  # (minute, by whom)
        self.faults: set[str] = set()
        self.talks = Talks(self)

    def answer(self, document, status=200):
        return JSONResponse(document, status, headers=self.headers())

    def headers(self):
        return {} if "no headers" in self.faults else dict(HEADERS)

    def refuse(self, status, message):
        return self.answer({"message": message}, status)

    async def user(self, request: Request):
        """Whose token it is, as Auth says; None for nobody's."""
        if "believes a header" in self.faults and (said := request.headers.get("x-user-id")):
            return {"id": said}
        return await self.whose(request.headers.get("authorization", "").removeprefix("Bearer "))

    async def whose(self, token: str):
        if not token:
            return None
        if self.faults & GULLIBLE.keys():
            published = (await self.http.get(f"{self.supabase}/auth/v1/.well-known/jwks.json")).json()
            for fault in self.faults & GULLIBLE.keys():
                with contextlib.suppress(*REFUSES):
                    if claims := await asyncio.to_thread(GULLIBLE[fault], token, published):
                        return {"id": claims["sub"], "email": claims.get("email")}
        if "believes anything" in self.faults:
            try:
                return {"id": jwt.decode(token, options={"verify_signature": False})["sub"]}
            except (jwt.InvalidTokenError, KeyError):
                return None
        headers = {"apikey": self.key, "Authorization": f"Bearer {token}"}
        answer = await self.http.get(f"{self.supabase}/auth/v1/user", headers=headers)
        return answer.json() if answer.status_code == 200 else None

    def store(self, method, key, **more):
        headers = {
            "apikey": self.service,
            "Authorization": f"Bearer {self.service}",
            **more.pop("headers", {}),
        }
        url = f"{self.supabase}/storage/v1/object/docs/{key}"
        return self.http.request(method, url, headers=headers, **more)

    async def health(self, request):
        return self.answer({"ok": True, "build": "7"})

    async def me(self, request):
        user = await self.user(request)
        if user is None:
            return self.refuse(401, "who are you?")
        return self.answer({"user": {"id": user["id"], "mail": user.get("email")}})

    async def listing(self, request):
        user = await self.user(request)
        if user is None:
            return self.refuse(401, "who are you?")
        return self.answer([i for i, (whose, _, _) in self.files.items() if whose == user["id"]])

    async def upload(self, request):
        user = await self.user(request)
        if user is None:
            return self.refuse(401, "who are you?")
        data = await request.body()
        if len(data) > LARGEST:
            return self.refuse(413, "too much")
        if b"EICAR-STANDARD" in data and "scans nothing" not in self.faults:
            return self.refuse(422, "harmful")
        size = len(data)
        if "unpacks" in self.faults and request.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
            size, data = len(data), data[:LARGEST]
        if data.startswith(b"\xff\xd8") and "keeps places" not in self.faults:
            data = re.sub(rb"\xff\xe1..Exif.*\xff\xd9", b"\xff\xd9", data, flags=re.S)
        identifier = uuid.uuid4().hex
        kind = request.headers.get("content-type", "application/octet-stream")
        name = request.query_params.get("called", "")
        key = stated = f"{user['id']}/{identifier}"
        if "names are paths" in self.faults and set(name) <= HARMLESS:
            key = stated = posixpath.normpath(f"{user['id']}/{name}")
        if "chokes on markup" in self.faults and "<img" in name:
            return Response("Internal Server Error", 500)
        if "another key" in self.faults:
            key = f"{user['id']}/elsewhere-{identifier}"
        done = await self.store("POST", key, content=data, headers={"Content-Type": kind, "x-upsert": "true"})
        if done.status_code != 200:
            return self.refuse(502, "the store does not answer")
        self.files[identifier] = (user["id"], key, kind)
        self.names[identifier] = name
        self.stated[identifier] = {"id": identifier, "owner_id": user["id"], "called": name, "bytes": size}
        return self.answer({"id": identifier, "stored_as": stated, "bytes": size}, 201)

    async def file(self, request):
        user = await self.user(request)
        if user is None and "anybody opens" in self.faults and request.method == "GET":
            user = {"id": self.files.get(request.path_params["id"], ("", "", ""))[0]}
        if user is None:
            return self.refuse(401, "who are you?")
        whose, key, kind = self.files.get(request.path_params["id"], ("", "", ""))
        if not whose or (whose != user["id"] and "anybody's file" not in self.faults):
            return self.refuse(404, "no such file")
        if request.method == "PATCH":
            return await self.change(request)
        if request.url.path.endswith("/about"):
            return self.answer(self.stated[request.path_params["id"]])
        if request.method == "DELETE":
            await self.store("DELETE", key)
            del self.files[request.path_params["id"]]
            return Response(status_code=204, headers=self.headers())
        stated = await self.store("GET", key)
        headers = self.headers()
        if "names are headers" in self.faults:
            name = self.names[request.path_params["id"]].encode().decode("latin-1")
            first, *more = name.replace("\x00", "").split(
                "\r\n"
            )  # as a server that writes headers as they come
            headers |= {"Content-Disposition": f'inline; filename="{first}"'}
            headers |= dict(line.split(": ") for line in more if ": " in line)
        return Response(stated.content, stated.status_code, headers=headers, media_type=kind)

    async def change(self, request):
        try:
            asked = json.loads(await request.body())
            if not isinstance(asked["called"], str):
                raise TypeError("called is a text")
        except (ValueError, KeyError, TypeError, RecursionError):
            if "tells of the inside" in self.faults:
                return self.answer({"message": traceback.format_exc()}, 400)
            return self.refuse(400, "send the name that it is called by")
        if "chokes on NUL" in self.faults and "\x00" in asked["called"]:
            return Response("Internal Server Error", 500)
        said = self.stated[request.path_params["id"]]
        said |= asked if "takes every field" in self.faults else {"called": asked["called"]}
        return self.answer(said)

    async def export(self, request):
        user = await self.user(request)
        if user is None:
            return self.refuse(401, "who are you?")
        by = user["id"]
        if "counts by a header" in self.faults:
            by += request.headers.get("x-forwarded-for", "")
        now = int(time.time() / 60)
        self.exports.append((now, by))
        if self.exports.count((now, by)) > EXPORTS:
            return self.refuse(429, "later")
        teams = await self.teams(user["id"])
        files = [f for f in self.stated.values() if f["owner_id"] == user["id"]]
        return self.answer({"user": user, "files": files, "teams": teams})

    def service_of(self, method, path, **more):
        headers = {"apikey": self.service, "Authorization": f"Bearer {self.service}"}
        return self.http.request(method, f"{self.supabase}{path}", headers=headers, **more)

    async def teams(self, user):
        """Every team that is a person's, page by page."""
        found, query = [], f"select=*&created_by=eq.{user}&order=id"
        while page := (await self.service_of("GET", f"/rest/v1/teams?{query}&offset={len(found)}")).json():
            found += page
            if "exports one page" in self.faults:
                break
        return found

    async def erase(self, request):
        user = await self.user(request)
        if user is None:
            return self.refuse(401, "who are you?")
        asked = await self.json(request)
        if not isinstance(asked, dict) or asked.get("confirm") != user.get("email"):
            return self.refuse(400, "say your address")
        if "keeps the address" in self.faults:
            row = {"key": user["id"], "value": user["email"]}
            await self.service_of("POST", "/rest/v1/settings", json=row)
        for identifier, (whose, key, _) in list(self.files.items()):
            if whose == user["id"] and "keeps objects" not in self.faults:
                await self.store("DELETE", key)
                del self.files[identifier], self.stated[identifier]
        await self.service_of("DELETE", f"/auth/v1/admin/users/{user['id']}")
        return self.answer({"erased": True})

    async def json(self, request):
        try:
            return json.loads(await request.body())
        except (ValueError, RecursionError):
            return None

    async def plant(self, request):
        self.faults = set(await request.json())
        return self.answer(sorted(self.faults))


def application(config):
    its = Platform(config)

    async def nothing(request, error):
        return its.refuse(404, "nothing here")

    return Starlette(
        exception_handlers={404: nothing},
        routes=[
            Route("/healthz", its.health),
            Route("/v2/me", its.me),
            Route("/v2/files", its.listing),
            Route("/v2/files", its.upload, methods=["POST"]),
            Route("/v2/files/{id}", its.file, methods=["GET", "PATCH", "DELETE"]),
            Route("/v2/files/{id}/about", its.file),
            Route("/v2/export", its.export),
            Route("/v2/erase", its.erase, methods=["POST"]),
            Route("/__faults", its.plant, methods=["POST"]),
            Route("/v2/talk/{room}/lines", its.talks.lines),
            WebSocketRoute("/v2/talk/{room}", its.talks.talk),
        ],
    )


if __name__ == "__main__":
    config = json.loads(Path(sys.argv[1]).read_text())
    uvicorn.run(
        application(config),
        host="127.0.0.1",
        port=config["port"],
        log_level="warning",
        proxy_headers=False,
        ws="websockets-sansio",
    )
