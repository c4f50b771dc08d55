"""One wrong answer in a hundred at the full load of the night's plan: does each profile find it, and say what it is?

    python -m bench.load_wrong [--for 30s] [--only mixed,rooms]

A proxy before one origin of the embedded target spoils every hundredth answer: a body altered or cut, another
user's answer, a message lost, doubled, altered or out of order. Users and rates are those of plans/nightly.toml; the
first answers, from which a load learns what is true, are left alone. Exit code 1 when a profile found nothing wrong,
or did not name the cause.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.loadprofiles.faulty import Faulty
from tests.loadprofiles.target import held, run

ROOT = Path(__file__).resolve().parent.parent
PLATFORM, DATA, R2 = "PLATFORM_URL", "VITE_SUPABASE_URL", "R2_ENDPOINT"
CASES = (
    ("database", DATA, "altered", "/rest/v1/", "is not as it was written"),
    ("database", DATA, "stranger", "/profiles|eq.draft", "another user's row"),
    ("content", PLATFORM, "truncated", "/api/content", "the body is no JSON (cut or altered)"),
    ("cache", PLATFORM, "altered", "/api/content", "the page is not as it was written"),
    ("telemetry", PLATFORM, "truncated", "/api/t", "the answer is no JSON (cut or altered)"),
    ("uptime", DATA, "stranger", "/rest/v1/", "id is not what it must be"),
    ("upload", R2, "truncated", r"/r2/s3/.*\w{8}-", "r2 holds other bytes than were sent"),
    ("rooms", PLATFORM, "lost", "", "a message was left out before this one"),
    ("rooms", PLATFORM, "duplicated", "", "a message came twice"),
    ("rooms", PLATFORM, "altered", "", "a message came altered"),
    ("rooms", PLATFORM, "swapped", "", "a message came out of order"),
    ("mixed", DATA, "stranger", "/rest/v1/(profiles|posts)", "another user's row"),
    ("mixed", PLATFORM, "altered", "/api/content", "the page is not as it was written"),
    ("mixed", PLATFORM, "lost", "", "a message was left out before this one"),
)
"""Profile, the origin that the proxy stands before, what it does, with which paths, and the cause that must be told."""
FEW = {"upload": 10, "telemetry": 10, "uptime": 20}
"""One in so many instead, where half a minute holds too few answers for one in a hundred."""


def main() -> int:
    """Runs the cases and prints a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--for", dest="lasting", default="30s")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    plan = {one["name"]: one for one in tomllib.loads((ROOT / "plans/nightly.toml").read_text())["profiles"]}
    blind = 0
    print(f"{'profile':<10} {'users':>5}  {'spoilt':<12} {'answers':>7} {'found wrong':>11}  told as")
    with held() as target, tempfile.TemporaryDirectory(prefix="assay-wrong-") as folder:
        for number, (profile, origin, kind, paths, cause) in enumerate(CASES):
            if options.only and profile not in options.only.split(","):
                continue
            wanted = plan[profile]
            words = ["--users", str(wanted["users"]), "--for", options.lasting, "--warm-up", "2s"]
            words += ["--rate", str(wanted["rate"])] if "rate" in wanted else []
            more = {"ASSAY_ROOMS_STORM": "0", "ASSAY_UPLOAD_MB": "6"}
            where = "rooms" if kind in ("lost", "duplicated", "swapped") or profile == "rooms" else "http"
            after = 100 if profile == "mixed" else 0
            every = FEW.get(profile, 100)
            with Faulty(target[origin], kind, paths=paths, where=where, after=after, every=every) as proxy:
                address = proxy.url + ("/cdn-cgi/local/r2/s3" if origin == R2 else "")
                ran = run(profile, Path(folder, str(number)), target, *words, **more, **{origin: address})
            matching = {text: count for text, count in ran.causes.items() if cause in text}
            found = bool(ran.wrong and matching and proxy.altered)
            blind += not found
            said = (
                ", ".join(f"{text} ({count})" for text, count in matching.items())
                or f"NOT NAMED: {ran.causes}"
            )
            print(
                f"{profile:<10} {wanted['users']:>5}  {kind:<12} {proxy.altered:>7} {ran.wrong:>11}  {said}",
                flush=True,
            )
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
