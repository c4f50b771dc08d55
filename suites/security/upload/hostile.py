"""Files as attackers make them: names, and contents that are two things at once. All made here, none downloaded."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

SCRIPT = "<script>document.title='ran'</script>"
ACTIVE = re.compile(
    r"(text/html|application/xhtml\+xml|image/svg\+xml|(text|application)/xml|[\w.-]+/[\w.-]+\+xml)$"
)
"""Types that a browser shows as a document in which scripts run (HTML standard, "navigate")."""


def names(victim: str) -> dict[str, str]:
    """Names by what they try; `victim` is the id of somebody else, whose folder some of them lead to."""
    return {
        "leads up": "../../../etc/passwd",
        "leads up to another's folder": f"../{victim}/taken.bin",
        "leads up by encoded slashes": f"..%2f{victim}%2ftaken.bin",
        "leads up by twice encoded slashes": f"..%252f{victim}%252ftaken.bin",
        "leads up by backslashes": f"..\\{victim}\\taken.bin",
        "leads up by wide slashes": f"..\uff0f{victim}\uff0ftaken.bin",
        "leads up by dots and slashes mixed": f"....//{victim}//taken.bin",
        "is absolute": f"/{victim}/taken.bin",
        "is an address": "https://evil.example/x.bin",
        "is a file address": "file:///etc/passwd",
        "is one dot": ".",
        "is two dots": "..",
        "has NUL before another end": "picture.png\x00.html",
        "has a line end and a header": "x\r\nX-Assay-Injected: 1\r\n\r\n<html>.bin",
        "has a quote and another name": 'x"; filename="run.html',
        "has a semicolon and another name": "x.bin;filename*=UTF-8''run.html",
        "has markup": "<img src=x onerror=alert(1)>.bin",
        "has SQL": "'; delete from files; --.bin",
        "has a filter": "x.bin&owner_id=neq.0",
        "has a shell's words": "$(id)`id`|id.bin",
        "has a template": "{{7*7}}${7*7}<%= 7*7 %>.bin",
        "has a double end": "picture.png.html",
        "has a double end the other way": "page.html.png",
        "turns its letters round": "gnp.\u202elmth.bin",
        "has letters that cannot be seen": "a\u200b\ufeff\u2060b.bin",
        "is a device of Windows": "CON",
        "is a device of Windows with an end": "aux.png",
        "is a stream of Windows": "x.bin::$DATA",
        "ends with a dot": "run.html.",
        "ends with blanks": "run.html   ",
        "configures a server": ".htaccess",
        "looks like an option": "--help",
        "has 255 letters": "a" * 251 + ".bin",
        "has 256 letters": "a" * 252 + ".bin",
        "has 4,000 letters": "a" * 3996 + ".bin",
        "has 255 letters of three bytes": "文" * 251 + ".bin",
    }  # fmt: skip


def folders(victim: str) -> dict[str, str]:
    """Folders by what they try."""
    return {
        "leads up": f"/../{victim}",
        "leads up from inside": f"/a/../../{victim}",
        "leads up by encoded slashes": f"/..%2f{victim}",
        "has NUL": "/a\x00b",
        "has a line end": "/a\r\nX-Assay-Injected: 1",
    }


@dataclass(frozen=True)
class Hostile:
    """One content: what it is, as what it is declared, and its bytes."""

    what: str
    declared: str
    data: bytes


def png(text: bytes = b"", size: tuple[int, int] = (1, 1)) -> bytes:
    """A PNG; `text` stands in a comment. A declared size far over that of its one row makes it a bomb for decoders."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    comment = chunk(b"tEXt", b"Comment\x00" + text) if text else b""
    rows = zlib.compress(b"\x00" * 2)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + comment + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def jpeg(comment: bytes) -> bytes:
    """The frame of a JPEG with a comment in it."""
    segment = struct.pack(">H", len(comment) + 2) + comment
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xfe"
        + segment
        + b"\xff\xd9"
    )


LATITUDE = (52, 31, 12)
"""Degrees, minutes and seconds that `jpeg_with_place` holds."""


def jpeg_with_place() -> bytes:
    """A JPEG as a phone makes it: its Exif names a place (Exif 2.32, GPSInfo: latitude reference and latitude)."""
    rational = b"".join(struct.pack(">II", number, 1) for number in LATITUDE)
    gps = struct.pack(">H", 2) + struct.pack(">HHI4s", 1, 2, 2, b"N\x00\x00\x00")
    gps += struct.pack(">HHII", 2, 5, 3, 56) + struct.pack(">I", 0)
    ifd0 = struct.pack(">H", 1) + struct.pack(">HHII", 0x8825, 4, 1, 26) + struct.pack(">I", 0)
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + ifd0 + gps + rational
    exif = b"Exif\x00\x00" + tiff
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + b"\xff\xd9"


def names_a_place(data: bytes) -> bool:
    """Whether a picture still holds the place that `jpeg_with_place` put in it."""
    return b"".join(struct.pack(">II", number, 1) for number in LATITUDE) in data


def contents() -> Iterator[Hostile]:
    """Contents that a browser would run if it were let, each under the types by which it may get in."""
    page = f"<!doctype html><html><body>{SCRIPT}</body></html>".encode()
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1">{SCRIPT}</svg>'.encode()
    yield Hostile("a page", "text/html", page)
    yield Hostile("a page called an image", "image/png", page)
    yield Hostile("a page called bytes", "application/octet-stream", page)
    yield Hostile("a page called plain text", "text/plain", page)
    yield Hostile("a page whose type has a parameter", "text/plain;x=text/html", page)
    yield Hostile("a page in capital letters", "TEXT/HTML", page.upper())
    yield Hostile("a page behind blanks", "text/plain", b"\n" * 600 + page)
    yield Hostile("a page behind a mark of byte order", "text/plain", b"\xef\xbb\xbf" + page)
    yield Hostile("a page in UTF-16", "text/plain", page.decode().encode("utf-16"))
    yield Hostile("a page in UTF-7", "text/plain", b"+ADw-script+AD4-document.title=1+ADw-/script+AD4-")
    yield Hostile("a page of XHTML", "application/xhtml+xml", b'<?xml version="1.0"?>' + page)
    yield Hostile("a drawing with a script", "image/svg+xml", svg)
    yield Hostile("a drawing with a script called XML", "application/xml", svg)
    yield Hostile("a drawing with a script called an image", "image/png", svg)
    yield Hostile("a script", "text/javascript", b"document.title='ran'")
    yield Hostile("a script called bytes", "application/octet-stream", b"document.title='ran'")
    yield Hostile(
        "a picture that is a script", "image/gif", b"GIF89a/*" + b"\x00" * 9 + b"*/=1;document.title='ran'"
    )
    yield Hostile("a picture that is a page", "image/gif", b"GIF89a" + page)
    yield Hostile("a picture with a page in it", "image/png", png(page))
    yield Hostile("a picture with a page in it called a page", "text/html", png(page))
    yield Hostile("a photograph with a page in it", "image/jpeg", jpeg(page))
    yield Hostile("a document that is a page", "application/pdf", b"%PDF-1.7\n" + page)
    yield Hostile("an archive that is a page", "application/zip", b"PK\x03\x04" + page)
    yield Hostile("a picture of 30,000 by 30,000", "image/png", png(size=(30_000, 30_000)))
    yield Hostile(
        "an archive that unpacks to 10 MB", "application/gzip", gzip.compress(bytes(10**7), mtime=0)
    )


def packed(size: int) -> bytes:
    """So many zeros, packed by gzip; about a thousandth of the size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(2**20)
    found = [packer.compress(block[: size - start]) for start in range(0, size, len(block))]
    return b"".join([*found, packer.flush()])


def would_run(headers: Mapping[str, str]) -> str:
    """Why a browser that opens this answer would run what is in it; empty when it would not."""
    disposition = headers.get("content-disposition", "").strip().lower()
    policy = headers.get("content-security-policy", "").lower()
    sandbox = next((part.split() for part in policy.split(";") if part.split()[:1] == ["sandbox"]), None)
    if disposition.startswith("attachment") or (sandbox is not None and "allow-scripts" not in sandbox):
        return ""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if ACTIVE.match(kind):
        return f"it is shown as {kind}, neither as an attachment nor in a sandbox"
    if not kind and headers.get("x-content-type-options", "").strip().lower() != "nosniff":
        return "it has no type, and a browser may guess one"
    return ""


def could_be_a_script(headers: Mapping[str, str]) -> str:
    """Why a page could load this answer as a script (Fetch standard, "should response be blocked due to nosniff")."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if re.match(r"(text|application)/(x-)?(java|ecma|j|live)script", kind):
        return f"it has the type {kind}"
    harmless = kind.startswith(("image/", "audio/", "video/")) or kind == "text/csv"
    if not harmless and headers.get("x-content-type-options", "").strip().lower() != "nosniff":
        return f"it has the type '{kind}' without nosniff"
    return ""


def stated_name(disposition: str) -> str:
    """The name under which a browser would keep a download (RFC 6266: `filename*` counts before `filename`)."""
    extended = re.search(r"filename\*\s*=\s*[\w-]+'[^']*'([^;]*)", disposition, re.I)
    if extended:
        return unquote(extended[1].strip())
    plain = re.search(r'filename\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)', disposition, re.I)
    return re.sub(r"\\(.)", r"\1", plain[1].strip().strip('"')) if plain else ""
