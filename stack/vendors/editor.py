"""Builder.io's visual editor, as far as the page inside its frame can tell: the message protocol.

Source: the listeners and messages of @builder.io/sdk 6 (`bindMessageListeners`, `messageFrameLoaded`,
`isTrustedHostForEvent`) and of @builder.io/sdk-react 5 (`builder.sdkInfo`, `builder.configureSdk`,
`builder.contentUpdate`). The page is `GET /content/<id>/edit` on the editor's host; it shows the entry in a
frame and offers `window.editor` to whoever drives it:

    editor.seen              every message of the frame, oldest first: [{type, data}]
    editor.components        what the page registered, by name
    editor.content           the entry as it stands in the editor
    editor.send(type, data)  any message to the frame
    editor.change(entry)     merges `entry` (its `data` too) and tells the frame: an edit, not yet published
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.vendors.store import Store
from stack.vendors.web import same

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Editing {title}</title>
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


class Editor:
    """The editor's host."""

    def __init__(self, store: Store, variables: dict[str, str], entries: str) -> None:
        self.store, self.kind = store, entries
        self.public_key = variables["BUILDER_PUBLIC_KEY"]
        self.private_key = variables["BUILDER_PRIVATE_KEY"]
        self.platform = variables.get("PLATFORM_URL", "")

    def routes(self) -> list[Route]:
        """Return the editor's routes."""
        return [Route("/content/{id}/edit", self.edit, methods=["GET"])]

    async def edit(self, request: Request) -> Response:
        """`GET /content/<id>/edit?key=<private key>&preview=<address>`: the editor with the page inside.

        The key stands for the person's sign-in. `preview` is the site's page; without it, the platform's
        address and the entry's `data.url`.
        """
        if not same(request.query_params.get("key"), self.private_key):
            return PlainTextResponse("Sign in to edit", 401)
        entry = self.store.get(self.kind, request.path_params["id"])
        if entry is None:
            return PlainTextResponse("No such content", 404)
        address = request.query_params.get("preview") or self._address(entry)
        page = HTMLResponse(self._page(entry, address))
        page.headers["Cache-Control"] = "no-store"
        return page

    def _address(self, entry: dict[str, Any]) -> str:
        url = str(entry.get("data", {}).get("url", "/"))
        return self.platform.rstrip("/") + url

    def _page(self, entry: dict[str, Any], address: str) -> str:
        model = entry["modelName"]
        query = urlencode(
            {
                "builder.space": self.public_key,
                "builder.preview": model,
                "builder.frameEditing": model,
                "builder.cachebust": "true",
                "builder.noCache": "true",
                f"builder.overrides.{model}": entry["id"],
                "__builder_editing__": "true",
            }
        )
        preview = address + ("&" if urlsplit(address).query else "?") + query
        shown = {key: value for key, value in entry.items() if key != "modelName"}
        settings = json.dumps({"model": model, "entry": shown, "preview": preview}).replace("<", "\\u003c")
        title = "".join(
            letter for letter in str(entry.get("name", "")) if letter.isalnum() or letter in " -_"
        )
        return PAGE.format(title=title, settings=settings)
