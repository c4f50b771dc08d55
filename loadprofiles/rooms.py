"""Rooms of ten over WebSocket: every message must reach every other member, once, unaltered and in order.

    assay load rooms --users 1000 --for 2m
    ASSAY_ROOMS_STORM=30 assay load rooms --users 1000 --for 2m

Each user is an identity of its own with one socket, from a loopback address of its own where the target is on this
host. Delivery is measured from the intended send to each receiver; what has not arrived when the load has drained is
lost. Once a minute (ASSAY_ROOMS_STORM: seconds, 0 for never) all sockets, 1,000 at most, are cut at once and return
with their last id: what the room acknowledged must be there. What is said until all are back counts as rooms.in_storm
and not for perf.rooms. At the end the whole history of each room is judged.
"""

from __future__ import annotations

from locust import task

from core.load_needs import Needs
from loadengine.api import OpenUser, Poisson
from loadprofiles.users import reconnect_storm
from loadprofiles.users.platform_user import PlatformUser
from loadprofiles.users.room_member import RoomMember
from loadprofiles.users.room_monitor import RoomMonitor
from loadprofiles.users.session import UserSession

NEEDS = Needs(
    uses=("platform.api", "auth.email", "rooms.websocket", "rooms.hears", "rooms.history"), people=10_000
)
JOINING = 50
"""Joins at once: they come in bursts of this many."""


class RoomUser(PlatformUser, OpenUser):
    """A person in a room who speaks every few seconds."""

    own_address = True
    rate = 0.4
    arrivals = Poisson

    def on_start(self) -> None:
        """Takes a seat and joins."""
        monitor = RoomMonitor.of(self.engine, self.adapter)
        self.member = RoomMember(monitor, self, self.person.token)
        self.session = UserSession(self, self.adapter, self.member)
        reconnect_storm.expect(monitor)
        with self.engine.at_most(JOINING, "join"):
            self.member.come()

    def on_stop(self) -> None:
        """Leaves."""
        self.member.leave()

    @task
    def speak(self) -> None:
        """One message, awaited by every other member who is in the room now."""
        self.member.say(self.intended())
        _ = self.session.token  # renewed when it is about to end
