"""A page that never comes ends with the platform's name: redirects in a circle, drips, floods of interim answers."""

import contextlib
import socket
import threading

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from core.outcome import classify
from scenarios.browser.conftest import _in_words
from tests.chromium import launched

LATER = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
ANSWERS = {
    "redirects in a circle": (
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"",
        "broken",
    ),
    "a body that drips": (HEAD + b"Content-Length: 100000\r\n\r\n<p>", b" ", "missed"),
    "a head that drips": (HEAD, b"X-More: 1\r\n", "missed"),
    "interim answers": (LATER, LATER, "missed"),
    "a flood of headers": (HEAD, b"X-More: 1\r\n" * 10_000, "broken"),
}


def speak(connection, start, more, over):
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(start)
        while more and not over.wait(0.02):
            connection.sendall(more)


@pytest.mark.parametrize("name", ANSWERS)
def test_it_ends_and_names_the_platform(name):
    start, more, verdict = ANSWERS[name]
    over, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=speak, args=(listener.accept()[0], start, more, over), daemon=True
                ).start()

    threading.Thread(target=serve, daemon=True).start()
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page()
        page.set_default_timeout(2000)
        with pytest.raises(PlaywrightError) as raised:
            page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        over.set()
        listener.close()
        browser.close()
    assert classify(_in_words(raised.value, None)) == (verdict, "platform")
