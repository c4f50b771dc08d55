"""What a profile imports: users, clients, measures and arrival schedules. Importing it imports Locust."""

from loadengine.lean_port import LeanPort
from loadengine.locust import hooks
from loadengine.locust.arrivals import Poisson, Replay, Uniform
from loadengine.locust.users import ClosedUser, OpenUser
from loadengine.measure.measure import Measure
from loadengine.net.http1 import Expect, HttpClient, PreparedRequest, StreamedBody
from loadengine.net.response import Response
from loadengine.net.websocket import WebSocket

__all__ = [
    "ClosedUser",
    "Expect",
    "HttpClient",
    "LeanPort",
    "Measure",
    "OpenUser",
    "Poisson",
    "PreparedRequest",
    "Replay",
    "Response",
    "StreamedBody",
    "Uniform",
    "WebSocket",
    "hooks",
]
