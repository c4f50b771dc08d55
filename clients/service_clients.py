"""All service clients of a run, by attribute, each built when it is first used."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, get_type_hints

from clients.services import own_modules
from clients.services.auth import AuthClient
from clients.services.builder import BuilderClient
from clients.services.database import DatabaseClient
from clients.services.datadog import DatadogClient
from clients.services.ga4 import Ga4Client
from clients.services.kv import KvClient
from clients.services.mixpanel import MixpanelClient
from clients.services.platform import PlatformClient
from clients.services.r2 import R2Client
from clients.services.rooms import RoomsClient
from clients.services.sentry import SentryClient
from clients.services.storage import StorageClient
from core.run import Run


class ServiceClients:
    """`services.auth`, `services.r2`, …: one annotation for each service module, its ATTRIBUTE and its client class.

    A service of a project's own is here by the ATTRIBUTE of its module, which calls its client class `Client`.
    """

    auth: AuthClient
    builder: BuilderClient
    database: DatabaseClient
    datadog: DatadogClient
    ga4: Ga4Client
    kv: KvClient
    mixpanel: MixpanelClient
    platform: PlatformClient
    r2: R2Client
    rooms: RoomsClient
    sentry: SentryClient
    storage: StorageClient

    def __init__(self, run: Run) -> None:
        self.run = run
        self._built: list[Any] = []

    if not TYPE_CHECKING:  # a type checker knows the annotations alone, so that it refuses any other name

        def __getattr__(self, name: str) -> object:
            """Builds the client on first use and keeps it as an attribute of this object."""
            client_class = get_type_hints(ServiceClients).get(name) or _own().get(name)
            if client_class is None:
                raise AttributeError(f"there is no service client {name!r}")
            client = client_class(self.run)
            self._built.append(client)
            setattr(self, name, client)
            return client

    def close(self) -> None:
        """Closes every client that was built and can be closed."""
        for client in self._built:
            if close := getattr(client, "close", None):
                close()

    def __enter__(self) -> ServiceClients:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _own() -> dict[str, type[Any]]:
    """The client classes of a project's own services by their ATTRIBUTE."""
    return {module.ATTRIBUTE: module.Client for module in own_modules() if hasattr(module, "ATTRIBUTE")}
