"""P3.2 and P3.3 as people live them: an editor publishes, a visitor sees it, the visual editor redraws."""

from __future__ import annotations

from playwright.sync_api import TimeoutError as PlaywrightTimeout

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from core.clock import eventually
from core.errors import Missed
from core.expect import expect, expect_equal, expect_one
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewPerson, Witness
from scenarios.browser.visual_editor import nameless, open_editor


@check(
    "browser.publish_and_see",
    "An editor publishes and changes a page; a visitor sees both, the change through the webhook",
    requirement=("P6.1", "P3.1", "P3.2"),
    service="builder",
    needs=("content.webhook", "platform.web", "settings.pages", "content.api"),
    timeout=60,
    why_slow="publishing reaches a visitor through Builder.io, its webhook and the cache",
)
def test_publish_and_see(
    run: Run, services: ServiceClients, ledger: Ledger, people: NewPerson, witness: Witness
) -> None:
    """What the visitor sees is what Builder.io's API holds; the change passes the five-minute cache."""
    tag = run.tag()
    path = f"/assay/{tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    entry = ledger.plan("builder.entry", path=path)
    made = services.builder.create(page_entry(path, f"Page {tag}", f"first words {tag}"), webhooks=True)
    entry.confirm(id=made["id"])
    visitor = people("visitor")
    visitor.content.shows(path, f"first words {tag}")
    services.builder.change(made["id"], page_entry(path, f"Page {tag}", f"second words {tag}"), webhooks=True)

    def shown() -> bool:
        return f"second words {tag}" in visitor.content.text(path)

    eventually(
        shown, within=20, claim="the visitor sees the change that the webhook announced", service="builder"
    )
    held = expect_one(services.builder.content(path), "Builder.io's API holds the page", service="builder")
    witness("Builder.io API", "the page holds the changed words")
    expect(
        f"second words {tag}" in str(held), "Builder.io's API holds what the visitor sees", service="builder"
    )


@check(
    "browser.visual_editor",
    "The visual editor shows the page with every registered component, and an edit redraws it unpublished",
    requirement=("P6.1", "P3.3"),
    service="builder",
    needs=("content.editor", "platform.web", "settings.pages", "content.api"),
    timeout=60,
    why_slow="the editor, with the page in its frame",
)
def test_visual_editor(
    run: Run, services: ServiceClients, ledger: Ledger, people: NewPerson, witness: Witness
) -> None:
    """A round trip by the editor's own messages; the public page stays as it was until it is published.

    Builder.io's own editor needs a person's sign-in, so the harness's stands on its address (`visual_editor`).
    """
    tag = run.tag()
    path = f"/assay/{tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    entry = ledger.plan("builder.entry", path=path)
    made = services.builder.create(page_entry(path, f"Page {tag}", f"published words {tag}"), webhooks=False)
    entry.confirm(id=made["id"])
    editor = people("editor")
    page = editor.person.page
    open_editor(
        page,
        run.target.get("BUILDER_WRITE_URL"),
        made,
        run.target.get("PLATFORM_URL").rstrip("/") + editor.content.address(path),
        public_key=run.target.get("BUILDER_PUBLIC_KEY"),
    )
    shown = page.frame_locator("#preview").get_by_test_id("content")
    editor.content.reads_in(shown, f"published words {tag}", "the published page in the editor's frame")
    for component in editor.content.components:
        try:
            page.wait_for_function(f"() => window.editor.components[{component!r}]")
        except PlaywrightTimeout:
            raise Missed(
                f"the visual editor offers the platform's component {component}",
                expected=", ".join(editor.content.components),
                saw=", ".join(page.evaluate("() => Object.keys(window.editor.components)")) or "none",
                service="builder",
            ) from None
    offered = page.evaluate("() => window.editor.components")
    for component, inputs in editor.content.inputs.items():
        names = [one.get("name") for one in offered.get(component, {}).get("inputs") or []]
        expect(
            set(inputs) <= set(names),
            f"the visual editor offers every input of the component {component}",
            expected=", ".join(inputs),
            saw=", ".join(map(str, names)) or "none",
            service="builder",
        )
    editor.content.step("the editor knows every component")
    blocks = page_entry(path, f"Page {tag}", f"edited words {tag}")["data"]["blocks"]
    editor.person.begin_action("changed the page in the editor")
    page.evaluate("(blocks) => window.editor.change({data: {blocks}})", blocks)
    editor.content.reads_in(shown, f"edited words {tag}", "the edit in the editor's frame")
    expect_equal(
        nameless(page, blocks),
        [],
        "the editor finds every block in the page, to be selected there (its builder-id)",
        service="builder",
    )
    editor.content.step("the edit is drawn")
    held = expect_one(services.builder.content(path), "Builder.io's API holds the page", service="builder")
    witness("Builder.io API", "the published page is unchanged")
    expect(
        f"published words {tag}" in str(held),
        "an edit is not public before it is published",
        service="builder",
    )
