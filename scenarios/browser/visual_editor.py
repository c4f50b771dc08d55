"""Builder.io's visual editor as the page inside its frame sees it: the message protocol, spoken by the harness.

Builder.io's own editor needs a person's sign-in, so this page stands in its place, on the editor's own address: the
browser is given it instead of contacting that host, and the site's listeners trust the address as they trust
Builder.io's. So the site's page, its registered components and its `frame-ancestors` are driven alike on every target.

Source: the listeners and messages of @builder.io/sdk 6 (`bindMessageListeners`, `messageFrameLoaded`,
`isTrustedHostForEvent`) and of @builder.io/sdk-react 5 (`builder.sdkInfo`, `builder.configureSdk`,
`builder.contentUpdate`). The page offers `window.editor` to whoever drives it:

    editor.seen              every message of the frame, oldest first: [{type, data}]
    editor.components        what the page registered, by name
    editor.content           the entry as it stands in the editor
    editor.send(type, data)  any message to the frame
    editor.change(entry)     merges `entry` (its `data` too) and tells the frame: an edit, not yet published
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Page

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Visual editor</title>
<style>html, body, iframe {{ margin: 0; border: 0; width: 100%; height: 100% }}</style></head>
<body><iframe id="preview" title="preview"></iframe>
<script>
const {{ model, entry, preview }} = {settings};
const frame = document.getElementById("preview");
const origin = new URL(preview, location.href).origin;
window.editor = {{
  seen: [],
  components: {{}},
  content: entry,
  send(type, data) {{ frame.contentWindow.postMessage({{ type, data }}, origin); }},
  tell() {{
    this.send("builder.contentUpdate", {{ key: model, modelName: model, data: this.content, editType: "server" }});
  }},
  change(more) {{
    this.content = {{ ...this.content, ...more, data: {{ ...this.content.data, ...more.data }} }};
    this.tell();
  }},
}};
addEventListener("message", (event) => {{
  if (event.source !== frame.contentWindow || event.origin !== origin || !event.data?.type) return;
  const {{ type, data }} = event.data;
  editor.seen.push({{ type, data }});
  if (type === "builder.registerComponent" && data?.name) editor.components[data.name] = data;
  if (type === "builder.components") for (const one of data ?? []) editor.components[one.name] = one;
  if (type === "builder.loaded" || type === "builder.sdkInfo") {{
    editor.send("builder.editingMode", true);
    editor.send("builder.editingModel", {{ model }});
    editor.send("builder.configureSdk", {{ contentId: editor.content.id, breakpoints: {{ medium: 991, small: 640 }} }});
    editor.send("builder.getComponents", {{}});
    editor.tell();
  }}
  if (type === "builder.updateContent") editor.tell();
}});
frame.addEventListener("load", () => editor.send("builder.ping", {{}}));
frame.src = preview;
</script></body></html>
"""


def open_editor(
    page: Page, host: str, entry: Mapping[str, Any], preview: str, *, public_key: str, model: str = "page"
) -> None:
    """Opens the editor of an entry on `host` (an origin, with a path where it has one); its frame `#preview` shows the
    site's page at `preview`. Nothing of the editor's address is contacted.
    """
    address = f"{host.rstrip('/')}/content/{entry['id']}/edit"
    text = _page(entry, preview, public_key, model)
    # A page that no server sent belongs to the public network for Chromium, which lets it frame a platform of this
    # machine by permission alone (chromestatus.com, Local Network Access).
    page.context.grant_permissions(["local-network-access"], origin=_origin(host))
    page.route(address, lambda route: route.fulfill(content_type="text/html; charset=utf-8", body=text))
    page.goto(address)


def nameless(page: Page, blocks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Identifiers of the blocks that the editor cannot find in its frame, to be selected there: no element names them."""
    frame = page.frame_locator("#preview")
    return [one["id"] for one in blocks if not frame.locator(f"[builder-id='{one['id']}']").count()]


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _page(entry: Mapping[str, Any], preview: str, public_key: str, model: str) -> str:
    query = urlencode(
        {
            "builder.space": public_key,
            "builder.preview": model,
            "builder.frameEditing": model,
            "builder.cachebust": "true",
            "builder.noCache": "true",
            f"builder.overrides.{model}": entry["id"],
            "__builder_editing__": "true",
        }
    )
    framed = preview + ("&" if urlsplit(preview).query else "?") + query
    settings = json.dumps({"model": model, "entry": dict(entry), "preview": framed}).replace("<", "\\u003c")
    return PAGE.format(settings=settings)
