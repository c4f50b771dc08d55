"""The matrix of buckets, from the project's description: an object of every bucket, and what each role makes of it.

Judged by the objects that the secret key sees, never by a status alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.clock import now_ns
from core.description import fill
from core.description.database import NOBODY, OWNER, STRANGER
from core.description.storage import Bucket
from core.errors import Missed, ServiceError
from core.ledger import Ledger
from core.run import Run

SERVICE = "supabase.storage"
ROLES = (NOBODY, STRANGER, OWNER)
"""Those who may least go first."""
VERBS = {
    "C": "put an object into",
    "R": "read an object of",
    "U": "overwrite an object of",
    "D": "delete one from",
}


@dataclass
class Object:
    """An object of a bucket as it stands now."""

    name: str
    bucket: Bucket
    key: str
    data: bytes


class BucketMatrix:
    """Puts the objects there and tries the verbs, each by every way that Storage offers."""

    def __init__(
        self, run: Run, services: ServiceClients, ledger: Ledger, actor: Callable[[], Actor]
    ) -> None:
        self.run, self.storage, self.ledger = run, services.storage, ledger
        self.people = {OWNER: actor(), STRANGER: actor()}

    def token(self, role: str) -> str | None:
        """A role's access token; None for nobody."""
        return self.people[role].access_token if role in self.people else None

    def subject(self, name: str, bucket: Bucket) -> Object:
        """An object of the bucket, put there by its owner or, where people may not, with the secret key."""
        made = self.unused(name, bucket)
        headers = {"Content-Type": bucket.type}
        path = f"/object/{name}/{quote(made.key)}"
        if bucket.by == OWNER:
            answer = self.storage.as_user("POST", path, self.token(OWNER), body=made.data, headers=headers)
        else:
            answer = self.storage.as_admin("POST", path, body=made.data, headers=headers)
        if answer.status == 200:
            return made
        where = self.run.target.description.where(f"storage.buckets.{name}")
        if "Bucket not found" in answer.text:
            raise Missed(
                f"the bucket {name} that {where} describes exists", saw=answer.said(), service=SERVICE
            )
        if bucket.by == OWNER:
            raise Missed(
                f"the owner may put an object into {name} ({where})", saw=answer.said(), service=SERVICE
            )
        raise ServiceError(SERVICE, f"{where}: no object could be put into {name}: {answer.said()}")

    def unused(self, name: str, bucket: Bucket) -> Object:
        """An object that is not there yet, planned in the ledger."""
        tag = self.run.tag()
        key = str(fill(bucket.key, {"user": self.people[OWNER].id, "tag": tag}))
        self.ledger.plan("storage.object", bucket=name, key=key)
        return Object(name, bucket, key, b"assay " + tag.encode())

    def attempt(self, subject: Object, role: str, verb: str) -> list[str]:
        """The ways by which a role did this; none when it could not."""
        match verb:
            case "R":
                return self._reads(subject, role)
            case "U":
                return self._overwrites(subject, role)
            case "D":
                return self._deletes(subject, role)
            case _:
                ways = {"upload": self.puts, "resumable upload": self._resumes}
                made = {way: self.unused(subject.name, subject.bucket) for way in ways}
                return [way for way, put in ways.items() if put(made[way], role)]

    def puts(self, subject: Object, role: str, *, data: bytes | None = None, mime: str = "") -> bool:
        """Whether a role could put an object there."""
        headers = {"Content-Type": mime or subject.bucket.type}
        body = subject.data if data is None else data
        path = f"/object/{subject.name}/{quote(subject.key)}"
        self.storage.as_user("POST", path, self.token(role), body=body, headers=headers)
        return self.storage.witness_get(subject.key, subject.name) is not None

    def _resumes(self, subject: Object, role: str) -> bool:
        """Whether a role could put an object there by the protocol for large files, in one request (TUS 1.0.0)."""
        about = {
            "bucketName": subject.name,
            "objectName": subject.key,
            "contentType": subject.bucket.type,
        }
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(subject.data)),
            "Upload-Metadata": ",".join(f"{k} {b64encode(v.encode()).decode()}" for k, v in about.items()),
            "Content-Type": "application/offset+octet-stream",
        }
        path = "/upload/resumable"
        self.storage.as_user("POST", path, self.token(role), body=subject.data, headers=headers)
        return self.storage.witness_get(subject.key, subject.name) is not None

    def public(self, subject: Object) -> bool:
        """Whether the object can be read by its public address, with no key at all."""
        answer = self.storage.port.request("GET", f"/object/public/{subject.name}/{quote(subject.key)}")
        return bool(answer.status == 200 and answer.content == subject.data)

    def links(self, subject: Object, seconds: int) -> dict[str, str]:
        """Addresses that the owner may sign for an object, by the way of signing; none where the owner may not."""
        token, key = self.token(OWNER), quote(subject.key)
        found: dict[str, str] = {}
        for way, path, paths in (
            ("a signed address", f"/object/sign/{subject.name}/{key}", {}),
            ("one of many signed addresses", f"/object/sign/{subject.name}", {"paths": [subject.key]}),
        ):
            answer = self.storage.as_user("POST", path, token, body={**paths, "expiresIn": seconds})
            if answer.status == 200:
                signed = answer.json(list)[0] if paths else answer.json(dict)
                if link := signed.get("signedURL"):  # of many, one that may not be signed has none
                    found[way] = str(link)
        return found

    def opens(self, link: str, subject: Object) -> bool:
        """Whether a signed address reads the object at this moment: by Storage itself, and by no cache before it."""
        answer = self.storage.port.request("GET", f"{link}&at={now_ns()}")
        return bool(answer.status == 200 and answer.content == subject.data)

    def _reads(self, subject: Object, role: str) -> list[str]:
        token, key = self.token(role), quote(subject.key)
        ways = []
        for way, path in (
            ("download", f"/object/{subject.name}/{key}"),
            ("authenticated download", f"/object/authenticated/{subject.name}/{key}"),
        ):
            answer = self.storage.as_user("GET", path, token)
            if answer.status == 200 and answer.content == subject.data:
                ways.append(way)
        folder, _, last = subject.key.rpartition("/")
        listed = self.storage.as_user(
            "POST",
            f"/object/list/{subject.name}",
            token,
            body={"prefix": folder, "limit": 1000, "search": last},
        )
        if listed.status == 200 and any(entry.get("name") == last for entry in listed.json(list)):
            ways.append("list")
        signed = self.storage.as_user(
            "POST", f"/object/sign/{subject.name}/{key}", token, body={"expiresIn": 60}
        )
        if signed.status == 200:
            ways.append("signed address")
        return ways

    def _overwrites(self, subject: Object, role: str) -> list[str]:
        other, path = subject.data + b" changed", f"/object/{subject.name}/{quote(subject.key)}"
        headers = {"Content-Type": subject.bucket.type}
        ways = []
        for way, method, more in (("update", "PUT", {}), ("upsert", "POST", {"x-upsert": "true"})):
            self.storage.as_user(method, path, self.token(role), body=other, headers={**headers, **more})
            if self.storage.witness_get(subject.key, subject.name) != subject.data:
                ways.append(way)
                self._put_back(subject)
        if "U" not in subject.bucket.may[role]:
            away = f"{subject.key}.moved"
            self.ledger.plan("storage.object", bucket=subject.name, key=away)
            body = {"bucketId": subject.name, "sourceKey": subject.key, "destinationKey": away}
            self.storage.as_user("POST", "/object/move", self.token(role), body=body)
            if self.storage.witness_get(subject.key, subject.name) is None:
                ways.append("move")
                self._put_back(subject)
        return ways

    def _deletes(self, subject: Object, role: str) -> list[str]:
        ways = []
        for way, path, body in (
            ("delete", f"/object/{subject.name}/{quote(subject.key)}", None),
            ("delete of many", f"/object/{subject.name}", {"prefixes": [subject.key]}),
        ):
            self.storage.as_user("DELETE", path, self.token(role), body=body)
            if self.storage.witness_get(subject.key, subject.name) is None:
                ways.append(way)
                self._put_back(subject)
        return ways

    def _put_back(self, subject: Object) -> None:
        """The object as it was, and whose it was: by its owner where they may put it there."""
        headers = {"Content-Type": subject.bucket.type, "x-upsert": "true"}
        path = f"/object/{subject.name}/{quote(subject.key)}"
        self.storage.delete([subject.key], subject.name)
        if subject.bucket.by == OWNER:
            self.storage.as_user("POST", path, self.token(OWNER), body=subject.data, headers=headers)
        else:
            self.storage.as_admin("POST", path, body=subject.data, headers=headers).demand(200)
