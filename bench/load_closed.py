"""Locust file of the speed bench: BENCH_KIND users that ask again as soon as they are answered.

All send the same headers and (but for assay-bare) parse the JSON and check the first row's id, BENCH_WORK times
if a dear check is wanted. With BENCH_THROUGHPUT, stock users keep Locust's own `constant_throughput` instead.
"""

import os

from locust import FastHttpUser, HttpUser, constant, constant_throughput, task

from bench.load_peers import HEADERS

URL = os.environ.get("BENCH_URL", "http://127.0.0.1:8080")
KIND = os.environ.get("BENCH_KIND", "assay")
WORK = int(os.environ.get("BENCH_WORK", "1"))
THROUGHPUT = float(os.environ.get("BENCH_THROUGHPUT", "0"))
WAIT = constant_throughput(THROUGHPUT) if THROUGHPUT else constant(0)

if KIND.startswith("assay"):
    import ssl

    from loadengine.api import ClosedUser, HttpClient, Response

    def right(answer: Response) -> str | None:
        """The benches' check."""
        for _ in range(WORK - 1):
            answer.json()
        return None if answer.json()[0]["id"] == 0 else "another row"

    class Lean(ClosedUser):
        """This engine's closed user: every request recorded, three histograms, trace header."""

        host = URL
        wait_time = constant(0)

        def on_start(self) -> None:
            """Serialises the request once."""
            self.http.headers.update(HEADERS)
            self.get = self.http.prepare("GET", "/x", expect=right if KIND == "assay" else None)

        @task
        def read(self) -> None:
            """One request."""
            self.http.fetch(self.get)

        if os.environ.get("BENCH_CA"):

            def client(self, origin: str) -> HttpClient:
                """With the bench's own authority."""
                if origin not in self._clients:
                    context = ssl.create_default_context(cafile=os.environ["BENCH_CA"])
                    self._clients[origin] = self.engine.client(origin, tls=context, flags=self._flags)
                return self._clients[origin]

elif KIND == "fast":

    class Fast(FastHttpUser):
        """Locust's fast user."""

        host = URL
        wait_time = WAIT
        insecure = True

        @task
        def read(self) -> None:
            """One request."""
            with self.client.get("/x", headers=HEADERS, catch_response=True) as answer:
                if answer.json()[0]["id"] != 0:
                    answer.failure("another row")

else:

    class Http(HttpUser):
        """Locust's ordinary user."""

        host = URL
        wait_time = WAIT

        def on_start(self) -> None:
            """The bench's certificate is its own."""
            self.client.verify = False

        @task
        def read(self) -> None:
            """One request."""
            with self.client.get("/x", headers=HEADERS, catch_response=True) as answer:
                if answer.json()[0]["id"] != 0:
                    answer.failure("another row")
