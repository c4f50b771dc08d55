"""The load engine: what a profile imports."""

from loadprofiles.engine import install
from loadprofiles.engine.arrivals import Poisson, Replay, Uniform
from loadprofiles.engine.http import Expect, HttpClient, Measure, Request, Stream
from loadprofiles.engine.http2 import Http2Client
from loadprofiles.engine.port import LeanPort
from loadprofiles.engine.response import Response
from loadprofiles.engine.user import ClosedUser, OpenUser
from loadprofiles.engine.websocket import WebSocket

__all__ = [
    "ClosedUser",
    "Expect",
    "Http2Client",
    "HttpClient",
    "LeanPort",
    "Measure",
    "OpenUser",
    "Poisson",
    "Replay",
    "Request",
    "Response",
    "Stream",
    "Uniform",
    "WebSocket",
    "install",
]
