"""The vendors' own browser SDKs, unmodified, in Chromium, on a site of another origin."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema
import pytest
from playwright.sync_api import Frame, Page, Response

from scenarios.browser.visual_editor import open_editor
from tests.stack.vendors.eventually import until
from tests.stack.vendors.running import ROOT
from tests.stack.vendors.site import with_node

RUM_TYPES = ROOT / "node_modules/@datadog/browser-rum-core/src/rumEvent.types.ts"


@pytest.fixture(scope="session")
def rum_schema(tmp_path_factory) -> Any:
    """DataDog's own description of RUM events: the types that it generates from rum-events-format."""
    made = tmp_path_factory.mktemp("schema") / "rum.json"
    command = [str(ROOT / "node_modules/.bin/ts-json-schema-generator"), "--path", str(RUM_TYPES),
               "--type", "RumEvent", "--no-type-check", "-o", str(made)]  # fmt: skip
    subprocess.run(command, check=True, env=with_node(), cwd=ROOT, capture_output=True, timeout=120)
    return json.loads(made.read_text())


FLUSH = "setInterval(() => window.dispatchEvent(new Event('freeze')), 100)"
"""Makes the RUM SDK send what it has gathered, again and again: it waits up to 30 s otherwise. The SDK heeds an
event that a script made only with its option `allowUntrustedEvents`, which the page sets."""


def rum_events(vendors, query: str) -> list[dict[str, Any]]:
    env = vendors.env
    answer = httpx.post(
        env["DATADOG_API_URL"] + "/api/v2/rum/events/search",
        headers={"DD-API-KEY": env["DATADOG_API_KEY"], "DD-APPLICATION-KEY": env["DATADOG_APP_KEY"]},
        json={"filter": {"query": query, "from": "now-15m", "to": "now+1m"}, "page": {"limit": 200}},
    )
    assert answer.status_code == 200, answer.text
    return [one["attributes"]["attributes"] for one in answer.json()["data"]]


@pytest.mark.parametrize("form", ["text", "function"])
def test_datadog_rum(vendors, site, marker, rum_schema, form):
    env = vendors.env
    proxy = env["DATADOG_INTAKE_URL"] if form == "text" else "function " + env["DATADOG_INTAKE_URL"]
    settings = {
        "applicationId": env["DATADOG_APPLICATION_ID"],
        "clientToken": env["DATADOG_CLIENT_TOKEN"],
        "proxy": proxy,
        "marker": marker,
        "compress": False,  # see the next test for compressed batches, and for why not here
    }
    with site.visit("datadog", **settings) as page:
        page.goto("about:blank")  # leaving the page flushes what is batched
        found = until(
            lambda: (e := rum_events(vendors, f"@context.marker:{marker}")) and len(e) >= 5 and e, 20
        )
    assert {"view", "action", "error", "vital"} <= {event["type"] for event in found}
    error = next(event for event in found if event["type"] == "error")
    assert error["error"]["message"] == f"boom {marker}"
    assert error["usr"]["id"] == "u1"
    validator = jsonschema.Draft7Validator(rum_schema)
    for event in found:
        wrong = [problem.message for problem in validator.iter_errors(event)]
        assert not wrong, (event["type"], wrong[:3])


@pytest.mark.parametrize("form", ["text", "function"])
def test_compressed_rum_batches_arrive(vendors, site, marker, form):
    """Everything arrives, and some of it came compressed, as long as the page stays.

    A page that is left is another matter, by the SDK's own doing: what its worker has not compressed yet it sends
    as it is, and from 16 KiB on by a plain fetch, which the leaving cancels (`httpRequest.ts`, `sendOnExit`).
    """
    env = vendors.env
    proxy = env["DATADOG_INTAKE_URL"] if form == "text" else "function " + env["DATADOG_INTAKE_URL"]
    settings = {
        "applicationId": env["DATADOG_APPLICATION_ID"],
        "clientToken": env["DATADOG_CLIENT_TOKEN"],
        "proxy": proxy,
        "marker": marker,
        "compress": True,
    }
    with site.visit("datadog", **settings) as page:
        compressed: list[int] = []

        def note(answer: Response) -> None:
            if "dd-evp-encoding" in answer.url:  # its value is encoded twice when the proxy is a text
                compressed.append(answer.status)

        page.on("response", note)
        page.evaluate(FLUSH)
        done = 0
        while len(compressed) < 3:
            assert done < 500, "the SDK never sent a compressed batch"
            page.evaluate("(name) => rum.addAction(name)", f"{marker}-{done}")
            page.wait_for_timeout(50)
            done += 1
        wanted = {"bought", *(f"{marker}-{number}" for number in range(done))}

        def indexed() -> bool:
            page.wait_for_timeout(50)  # Playwright sees answers only while it waits
            events = rum_events(vendors, f"@type:action @context.marker:{marker}")
            return bool(wanted == {event["action"]["target"]["name"] for event in events})

        until(indexed, 20)
    assert set(compressed) == {202}


def test_datadog_refuses_a_wrong_token_in_the_browser(vendors, site, marker):
    settings = {
        "applicationId": vendors.env["DATADOG_APPLICATION_ID"],
        "clientToken": "pub" + "0" * 32,
        "proxy": vendors.env["DATADOG_INTAKE_URL"],
        "marker": marker,
        "compress": False,
    }
    with site.visit("datadog", **settings) as page:
        with page.expect_response(lambda answer: "/datadog/intake" in answer.url) as seen:
            page.evaluate(FLUSH)
        assert seen.value.status == 403
    assert rum_events(vendors, f"@context.marker:{marker}") == []


def export(vendors, **narrow: str) -> list[dict[str, Any]]:
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    basic = base64.b64encode(f"{vendors.env['MIXPANEL_API_SECRET']}:".encode()).decode()
    answer = httpx.get(
        vendors.env["MIXPANEL_DATA_URL"] + "/api/2.0/export",
        params={"from_date": today, "to_date": today, **narrow},
        headers={"Authorization": "Basic " + basic},
    )
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize("batch", [False, True])
def test_mixpanel_browser(vendors, site, marker, batch):
    env = vendors.env
    settings = {"token": env["MIXPANEL_TOKEN"], "apiHost": env["MIXPANEL_API_URL"], "marker": marker}
    with site.visit("mixpanel", **settings, batch=batch) as page:
        if not batch:
            page.wait_for_function("window.answer !== undefined")
            assert page.evaluate("window.answer") in (1, {"status": 1, "error": None})
        else:  # the SDK queues in its own time; what is not queued when the page is left is lost
            page.wait_for_function(
                "m => Object.values(localStorage).some(v => v.includes(m) && v.includes('bought'))",
                arg=marker,
            )
        page.goto("about:blank")
        found = until(lambda: export(vendors, where=f'properties["marker"] == "{marker}"'), 20)
    assert [(one["event"], one["properties"]["distinct_id"]) for one in found] == [("bought", marker)]
    assert found[0]["properties"]["mp_lib"] == "web"
    if batch:
        return  # on leaving a page the SDK sends its events, not its profile updates
    profile = until(lambda: [p for p in vendors.kept("mixpanel.profile") if p["$distinct_id"] == marker])
    assert profile[0]["$properties"]["plan"] == "gold"


def test_mixpanel_tells_the_browser_nothing_of_a_wrong_token(vendors, site, marker):
    """As its OpenAPI says of /track: 1 for whatever is well formed. Only reading back notices."""
    settings = {
        "token": "0" * 32,
        "apiHost": vendors.env["MIXPANEL_API_URL"],
        "marker": marker,
        "batch": False,
    }
    with site.visit("mixpanel", **settings) as page:
        page.wait_for_function("window.answer !== undefined")
        answer = page.evaluate("window.answer")
    assert answer in (1, {"status": 1, "error": None})
    assert export(vendors, where=f'properties["marker"] == "{marker}"') == []


def publish(vendors, path: str, marker: str, **more: Any) -> dict[str, Any]:
    env = vendors.env
    hero = {
        "@type": "@builder.io/sdk:Element",
        "id": "builder-hero",
        "component": {"name": "Hero", "options": {"title": marker}},
    }
    text = {
        "@type": "@builder.io/sdk:Element",
        "id": "builder-text",
        "component": {"name": "Text", "options": {"text": f"<p>text {marker}</p>"}},
    }
    answer = httpx.post(
        env["BUILDER_WRITE_URL"] + "/api/v1/write/page",
        headers={"Authorization": "Bearer " + env["BUILDER_PRIVATE_KEY"]},
        json={
            "name": marker,
            "published": "published",
            "query": [
                {"@type": "@builder.io/core:Query", "property": "urlPath", "operator": "is", "value": path}
            ],
            "data": {"title": marker, "url": path, "blocks": [hero, text]},
            **more,
        },
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("endpoint", ["query", "content"])
def test_builder_first_generation_sdk(vendors, site, marker, endpoint):
    publish(vendors, f"/{marker}", marker)
    settings = {"host": vendors.env["BUILDER_API_URL"], "path": f"/{marker}", "endpoint": endpoint}
    with site.visit("builder-first", key=vendors.env["BUILDER_PUBLIC_KEY"], **settings) as page:
        assert page.evaluate("window.answer.content.data.title") == marker
    with site.visit(
        "builder-first", key=vendors.env["BUILDER_PUBLIC_KEY"], **settings | {"path": "/none"}
    ) as page:
        assert page.evaluate("window.answer.content") is None
    with site.visit("builder-first", key="0" * 32, **settings) as page:
        assert page.evaluate("window.answer.content ?? null") is None


def test_builder_react_sdk_renders_a_registered_component(vendors, site, marker):
    publish(vendors, f"/{marker}", marker)
    settings = {"host": vendors.env["BUILDER_API_URL"], "path": f"/{marker}"}
    with site.visit("builder-react", key=vendors.env["BUILDER_PUBLIC_KEY"], **settings) as page:
        page.wait_for_selector("[data-testid=hero]")
        assert page.inner_text("[data-testid=hero]") == marker
        assert f"text {marker}" in page.inner_text("#root")
    with site.visit("builder-react", key="0" * 32, **settings) as page:
        assert page.query_selector("[data-testid=hero]") is None


def test_the_visual_editor_redraws_a_react_page_before_anything_is_published(vendors, site, marker):
    made = publish(vendors, f"/{marker}", marker)
    with edited(vendors, site, made, "builder-react") as (page, frame):
        frame.wait_for_selector(f"[data-testid=hero]:has-text('{marker}')")
        page.wait_for_function("editor.components.Hero")
        assert page.evaluate("editor.components.Hero.inputs[0].name") == "title"
        hero = {**made["data"]["blocks"][0], "component": {"name": "Hero", "options": {"title": "changed"}}}
        page.evaluate("(blocks) => editor.change({ data: { blocks } })", [hero])
        frame.wait_for_selector("[data-testid=hero]:has-text('changed')")
    read = httpx.get(
        f"{vendors.env['BUILDER_API_URL']}/api/v3/content/page/{made['id']}",
        params={"apiKey": vendors.env["BUILDER_PUBLIC_KEY"], "cachebust": "true"},
    )
    assert read.json()["data"]["blocks"][0]["component"]["options"]["title"] == marker


def test_the_visual_editor_drives_the_first_generation_sdk(vendors, site, marker):
    made = publish(vendors, f"/{marker}", marker)
    with edited(vendors, site, made, "builder-first", endpoint="content") as (page, frame):
        page.wait_for_function("editor.seen.some((one) => one.type === 'builder.pong')")
        page.wait_for_function("editor.components.Hero")
        page.evaluate("editor.change({ data: { title: 'changed' } })")
        frame.wait_for_function("window.shown === 'changed'")


@contextmanager
def edited(vendors, site, entry: dict[str, Any], name: str, **more: Any) -> Iterator[tuple[Page, Frame]]:
    """The editor with the site's page in its frame."""
    site.bundle(name)
    path = entry["data"]["url"]
    settings = {
        "key": vendors.env["BUILDER_PUBLIC_KEY"],
        "host": vendors.env["BUILDER_API_URL"],
        "path": path,
        **more,
    }
    context = site.browser.new_context()
    context.add_init_script(f"window.settings = {json.dumps(settings)}")
    page = context.new_page()
    open_editor(
        page,
        vendors.env["BUILDER_WRITE_URL"],
        entry,
        f"http://127.0.0.1:{site.port}/{name}.html",
        public_key=vendors.env["BUILDER_PUBLIC_KEY"],
    )
    handle = page.query_selector("#preview")
    assert handle is not None
    frame = handle.content_frame()
    assert frame is not None
    frame.wait_for_function("window.ready")
    yield page, frame
    context.close()
