"""Locust file of the upload bench: each user sends one file in parallel parts to addresses that were signed before.

In a folder of its own, since Locust puts a file's folder on the path.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from gevent.pool import Pool
from locust import task
from locust.exception import StopUser

from loadengine.api import ClosedUser, Measure
from loadprofiles.oracles.files import StreamedFile
from loadprofiles.upload import PARALLEL

PLAN = json.loads(Path(os.environ["BENCH_PLAN"]).read_text())
DONE: list[dict[str, Any]] = []


class RequestSender(ClosedUser):
    """Takes a file of the plan, sends its parts, notes their tags."""

    timeout = 300.0

    @task
    def send(self) -> None:
        """One file, then the end."""
        if not PLAN["files"]:
            raise StopUser
        file = PLAN["files"].pop()
        made = StreamedFile(PLAN["size"])
        put = self.port(Measure("part"))

        def part(number: int) -> dict[str, Any]:
            begin = number * PLAN["part_size"]
            body = made.part(begin, min(begin + PLAN["part_size"], PLAN["size"]))
            answer = put.request("PUT", file["parts"][number], body=body)
            return {"PartNumber": number + 1, "ETag": answer.headers.get("etag", "")}

        begun = time.monotonic()
        tags = Pool(PARALLEL).map(part, range(len(file["parts"])))
        DONE.append(
            {
                "key": file["key"],
                "upload": file["upload"],
                "tags": tags,
                "sha256": made.sha256,
                "begun": begun,
                "done": time.monotonic(),
            }
        )
        if len(DONE) == PLAN["count"]:
            Path(PLAN["out"]).write_text(json.dumps(DONE))
            self.environment.runner.quit()
        raise StopUser
