"""Which browser the flows get, and what is kept of it: in a bare container, on request, and with or without ffmpeg."""

import io
import os
import zipfile

import pytest
from playwright.sync_api import sync_playwright

from core.errors import BrokenError, ConfigError
from core.secret import Redactor
from fixtures.browser import evidence, launch
from fixtures.browser.users import BrowserLog, BrowserUser


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any browser of its own; what was found before is at `bare.known`."""
    with sync_playwright() as playwright:
        known = launch.find("chromium", playwright) or playwright.chromium.executable_path
    monkeypatch.delenv(launch.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(launch, "PACKED", tmp_path / "chromium")
    return tmp_path, known


def test_what_set_up_unpacked_is_found_and_runs(bare):
    folder, known = bare
    with sync_playwright() as playwright:
        with pytest.raises(BrokenError, match="no Chromium was found"):
            launch.find("chromium", playwright)
        (folder / "chromium").write_text(f'#!/bin/sh\nexec "{known}" "$@"\n')
        (folder / "chromium").chmod(0o755)
        found = launch.find("chromium", playwright)
        assert found == str(folder / "chromium")
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        assert started.new_page().evaluate("() => 6 * 7") == 42
        started.close()


def test_our_node_drives_playwright_where_its_own_does_not_run(monkeypatch, tmp_path):
    monkeypatch.delenv(launch.NODE, raising=False)
    broken = tmp_path / "driver" / "node"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(launch.playwright, "__file__", str(tmp_path / "__init__.py"))
    launch._help_driver()
    monkeypatch.undo()
    node = os.environ.pop(launch.NODE)
    monkeypatch.setenv(launch.NODE, node)
    with sync_playwright() as playwright:
        assert playwright.chromium.name == "chromium"


@pytest.mark.parametrize("kind", ["firefox", "webkit"])
def test_an_absent_browser_is_one_sentence_with_what_to_do(bare, kind):
    with (
        sync_playwright() as playwright,
        pytest.raises(BrokenError, match=f"playwright install --with-deps {kind}"),
    ):
        launch.find(kind, playwright)


def test_a_browser_that_there_is_not_is_the_users_mistake():
    with pytest.raises(ConfigError, match="no browser 'opera'"), launch.started(None, "opera"):
        pass


@pytest.fixture
def seen_page(tmp_path):
    """A page with a button that does something and one that does not, its person, and its trace once it is closed."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=launch.find("chromium", playwright), args=["--no-sandbox"]
        )
        context = started.new_context()
        context.tracing.start(screenshots=True, snapshots=True)
        seen = BrowserLog()
        seen.watch(context)
        person = BrowserUser("ada", context, context.new_page(), seen)
        person.page.set_content(
            "<input type=password><button>Dead</button><button onclick=\"document.body.append('done')\">Alive</button>"
        )

        def trace():
            context.tracing.stop(path=tmp_path / "trace.zip")
            return (tmp_path / "trace.zip").read_bytes()

        yield person, trace
        started.close()


def test_what_came_of_an_act_is_told(seen_page):
    person, _ = seen_page
    person.begin_action("pressed 'Dead'")
    person.page.get_by_text("Dead").click()
    assert person.effects() == (
        "ada pressed 'Dead', and nothing happened: no request was sent and the page did not change"
    )
    person.begin_action("pressed 'Alive'")
    person.page.get_by_text("Alive").click()
    assert "nothing happened" not in person.effects()
    assert "done" in person.effects()


def test_a_password_is_in_no_member_of_a_trace(seen_page):
    person, trace = seen_page
    person.page.locator("input").fill("planted-password-1")
    person.page.evaluate("() => fetch('data:text/plain,planted-password-1').then(a => a.text())")
    data = trace()
    assert any(b"planted-password-1" in part for part in members(data)), "it is there before it is masked"
    kept = evidence.redacted_archive(data, Redactor(["planted-password-1"]))
    assert not any(b"planted-password-1" in part for part in members(kept))
    assert len(members(kept)) == len(members(data))


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def test_a_video_is_made_where_there_is_an_ffmpeg(seen_page):
    person, trace = seen_page
    person.page.get_by_text("Alive").click()
    archive = trace()
    if program := evidence.ffmpeg():
        made = evidence.video(archive, program)
        assert made is not None
        assert made.startswith(b"\x1aE\xdf\xa3"), "WebM is a kind of Matroska"
    assert evidence.video(archive, "/bin/false") is None, "an ffmpeg that cannot costs nobody their evidence"
