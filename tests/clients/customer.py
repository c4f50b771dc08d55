"""Somebody else's things in every service, like a run's own: what must still be there after whatever a run did."""

from __future__ import annotations

import secrets

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry


class Customer:
    """Things of somebody else's that look like a run's own as much as they can, and how many of them are still there."""

    def __init__(self, services: ServiceClients, tag: str) -> None:
        self.services, self.word = services, f"customer-{secrets.token_hex(5)}"
        s, word = services, self.word
        everywhere = page_entry(f"/{word}", word, word)
        everywhere["query"] = []  # served for every path there is
        everywhere["name"] = f"assay {word}"
        self.entries = [
            s.builder.create(everywhere, webhooks=False)["id"],
            s.builder.create(page_entry(f"/{word}", word, word), webhooks=False)["id"],
        ]
        self.keys = [
            f"content:page:/{word}|",
            f"content:page:/assay/{tag[:-1]}|",
            "assay",
            f"{word}content:page:/assay/{tag}|",
        ]
        for key in self.keys:
            s.kv.put(key, b"customer")
        self.objects = [f"{word}/a.bin", f"assay/{word}.bin", f"{word}-{tag[:-1]}"]
        for key in self.objects:
            s.r2.s3.put(key, b"customer")
        self.files = [f"{word}/a.txt", f"{word}/assay/b.txt"]
        for key in self.files:
            headers = {"Content-Type": "text/plain"}
            s.storage.as_admin("POST", f"/object/files/{key}", body=b"customer", headers=headers).demand(200)
        s.sentry.add_receiver(f"http://127.0.0.1:9/{word}")
        self.rule = s.sentry.create_rule(f"assay {word}", tag="x", value="y")
        self.monitor = s.datadog.create_monitor(f"assay {word}", "@type:error")
        self.people = []
        for email in (
            f"assay-{word}@{s.auth.domain}",
            f"assay-{tag}@{word}.example",
            f"{word}@{s.auth.domain}",
        ):
            made = s.auth.as_admin("POST", "/admin/users", body={"email": email, "email_confirm": True})
            self.people.append(made.demand(200).json(dict)["id"])
        author = {"id": self.people[0], "username": word.replace("-", "_")}
        s.database.as_admin("POST", "/profiles", body=author).demand(201, 409)
        post = {"author_id": self.people[0], "title": f"assay {word}", "body": "words"}
        self.post = s.database.as_admin("POST", "/posts", body=post).demand(201).json(list)[0]["id"]

    def missing(self) -> list[str]:
        """What is not there any more, in words."""
        s = self.services
        gone = [f"builder {one}" for one in self.entries if s.builder.entry(one) is None]
        gone += [f"kv {key}" for key in self.keys if s.kv.get(key) != b"customer"]
        gone += [f"r2 {key}" for key in self.objects if s.r2.s3.get(key) != b"customer"]
        gone += [f"storage {key}" for key in self.files if s.storage.witness_get(key, "files") != b"customer"]
        gone += ["receiver"] if f"http://127.0.0.1:9/{self.word}" not in s.sentry.receivers() else []
        gone += ["rule"] if s.sentry.rule(self.rule) is None else []
        gone += ["monitor"] if s.datadog.monitor(self.monitor) is None else []
        gone += ["post"] if not s.database.rows_past_policies("posts", id=self.post) else []
        gone += [f"person {one}" for one in self.people if s.auth.user(one) is None]
        return gone

    def remove(self) -> None:
        """Takes everything away again."""
        s = self.services
        for one in self.entries:
            s.builder.delete(one)
        s.kv.delete(*self.keys)
        s.r2.s3.delete(*self.objects)
        s.storage.delete(self.files, "files")
        s.sentry.remove_receiver(f"http://127.0.0.1:9/{self.word}")
        s.sentry.delete_rule(self.rule)
        s.datadog.delete_monitor(self.monitor)
        for one in self.people:
            s.auth.delete_user(one)
