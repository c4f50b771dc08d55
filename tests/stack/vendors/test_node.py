"""A vendor's SDK in Node, as a server would use it: the same package, no browser around it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.stack.vendors.running import ROOT
from tests.stack.vendors.site import NODE
from tests.stack.vendors.test_builder import publish

SCRIPT = """
const { Builder, builder } = require("@builder.io/sdk");
const { key, host, path } = JSON.parse(process.argv[1]);
Builder.overrideHost = host;
Builder.isStatic = true;
builder.init(key, false);
builder.apiEndpoint = "content";
builder.get("page", { userAttributes: { urlPath: path }, cachebust: true }).promise()
  .then((content) => console.log(JSON.stringify(content?.data?.title ?? null)),
        (error) => console.log(JSON.stringify({ error: String(error) })));
"""


def ask(vendors, path: str, key: str | None = None) -> Any:
    settings = {
        "key": key or vendors.env["BUILDER_PUBLIC_KEY"],
        "host": vendors.env["BUILDER_API_URL"],
        "path": path,
    }
    command = [str(NODE / "node"), "-e", SCRIPT, json.dumps(settings)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_builder_sdk_in_node(vendors, marker):
    rule = {"property": "urlPath", "operator": "is", "value": f"/{marker}"}
    publish(vendors, marker, query=[rule], data={"title": marker, "blocks": []})
    assert ask(vendors, f"/{marker}") == marker
    assert ask(vendors, "/nothing") != marker  # others may publish for every path
    assert ask(vendors, f"/{marker}", key="0" * 32) != marker
