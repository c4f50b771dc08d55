"""What the parts of a generating process need of it, and no more: the engine is made of them and fits this."""

from __future__ import annotations

import ssl
from typing import Any, Protocol
from urllib.parse import SplitResult

from core.permit import Permit
from loadengine.allowance import Allowance
from loadengine.measure.recorder import SampleRecorder
from loadengine.measure.trace import Tracer
from loadengine.net.reactor import Reactor
from loadengine.net.tcp import Endpoint
from loadengine.process import LoadProcess
from loadengine.settings import LoadSettings


class LoadContext(Protocol):
    """One generating process, as its clients, its arrivals and its health see it."""

    @property
    def settings(self) -> LoadSettings:
        """What the operator set."""

    @property
    def allowance(self) -> Allowance:
        """What is left of the run's budget for this process."""

    @property
    def permit(self) -> Permit:
        """What may be sent, and where."""

    @property
    def process(self) -> LoadProcess:
        """Journal and ticks."""

    @property
    def reactor(self) -> Reactor:
        """All sockets."""

    @property
    def recorder(self) -> SampleRecorder:
        """Where samples go."""

    @property
    def tracer(self) -> Tracer:
        """Names requests."""

    @property
    def closing(self) -> bool:
        """True once the load is over: nothing new is sent."""

    def endpoint(self, parts: SplitResult, source: str | None, tls: ssl.SSLContext | None) -> Endpoint:
        """Where to connect for an address. Raises PermitError, ConfigError."""

    def worker_rank(self) -> tuple[int, int]:
        """This process's number among the generating ones, and how many those are."""

    def all_users(self) -> int:
        """How many users the whole load is meant to have."""

    def under_way(self) -> int:
        """Exchanges that have not ended, and messages that have not arrived."""

    def user_error(self, user: Any, error: BaseException) -> None:
        """A task raised: a fault of the profile, not of the server."""
