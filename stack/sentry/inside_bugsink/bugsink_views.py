# mypy: disable-error-code="import-not-found,untyped-decorator"
"""A look-up that Bugsink's own API has not: events by Sentry's event id, newest first, with mapped frames.

Runs inside Bugsink's process (its setting EXTRA_URLCONF_MODULES), reads through Bugsink's own models and
lets Bugsink's own code apply source maps, so that what is shown is what Bugsink knows. Needs the recorder's
token. Pinned to Bugsink 2.6.1 by locks/bugsink.txt.
"""

from __future__ import annotations

import hmac
from typing import Any

from bsmain.models import AuthToken
from bugsink.decorators import login_exempt
from bugsink.transaction import durable_atomic
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from events.models import Event
from events.utils import apply_sourcemaps
from releases.models import Release


def _allowed(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    wanted = AuthToken.objects.values_list("token", flat=True).first() or ""
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _shown(event: Any, *, mapped: bool) -> dict[str, Any]:
    data = event.get_parsed_data()
    if mapped:
        apply_sourcemaps(data, event.project)
    issue = event.issue
    return {
        "event_id": event.event_id.hex,
        "received": event.ingested_at.isoformat(),
        "timestamp": event.timestamp.isoformat(),
        "order": event.digest_order,
        "issue": {
            "id": issue.digest_order,
            "type": issue.calculated_type,
            "value": issue.calculated_value,
            "first_seen": issue.first_seen.isoformat(),
            "last_seen": issue.last_seen.isoformat(),
            "count": issue.digested_event_count,
            "resolved": issue.is_resolved,
            "muted": issue.is_muted,
            "uuid": str(issue.id),
        },
        "data": data,
    }


@login_exempt
@durable_atomic
def one(request: HttpRequest, event_id: str) -> HttpResponse:
    """Return one event with its frames mapped, or 404."""
    if not _allowed(request):
        return JsonResponse({"detail": "Invalid token"}, status=401)
    event = Event.objects.select_related("issue", "project").filter(event_id=event_id).first()
    if event is None:
        return JsonResponse({"detail": "No such event"}, status=404)
    return JsonResponse(_shown(event, mapped=True))


@login_exempt
@durable_atomic
def many(request: HttpRequest) -> HttpResponse:
    """Return the newest events, at most `limit`, of one issue where `issue` (its number) is given."""
    if not _allowed(request):
        return JsonResponse({"detail": "Invalid token"}, status=401)
    events = Event.objects.select_related("issue", "project").filter(issue__is_deleted=False)
    if request.GET.get("issue"):
        events = events.filter(issue__digest_order=int(request.GET["issue"]))
    since = request.GET.get("since")
    if since:
        events = events.filter(digested_at__gte=since)
    chosen = events.order_by("-digested_at")[: int(request.GET.get("limit", "100"))]
    return JsonResponse({"events": [_shown(event, mapped=False) for event in chosen]})


@login_exempt
@durable_atomic
def releases(request: HttpRequest) -> HttpResponse:
    """Return the releases that Bugsink knows, newest first."""
    if not _allowed(request):
        return JsonResponse({"detail": "Invalid token"}, status=401)
    found = Release.objects.order_by("-date_released")
    shown = [{"version": one.version, "released": one.date_released.isoformat()} for one in found]
    return JsonResponse({"releases": shown})


urlpatterns = [
    path("recorder/events/<uuid:event_id>/", one),
    path("recorder/events/", many),
    path("recorder/releases/", releases),
]
