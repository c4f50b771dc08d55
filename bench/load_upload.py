"""Uploading 100 MB files to one S3 server: the upload profile's streaming parts against boto3's default transfer.

    python -m bench.load_upload [--files 1,4,20] [--rounds 3]

Both send to the embedded target's R2 by its S3 API, in multipart uploads of 8 MiB parts, so many files at once; rounds
are interleaved. boto3 is `upload_file` with its defaults (10 threads a file) from one file on disk. Printed: MB/s from
the first byte to the last part stored and the upload completed, CPU seconds and peak memory of the client.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clients import embedded
from clients.s3 import S3
from clients.services import catalogue, r2
from core import target as targets

ROOT = Path(__file__).resolve().parent.parent
SIZE, PART = 100_000_000, 8 * 1024 * 1024


def bucket() -> S3:
    """The embedded target's bucket, named by the environment."""
    target = targets.resolve("embedded", catalogue(), file=None)
    key_id, secret = r2.credentials(target)
    return S3(
        "r2", r2.endpoint(target), key_id, secret, target.get("R2_BUCKET_NAME"), target.permit, timeout=300
    )


def by_boto3(count: int, folder: str) -> dict[str, float]:
    """In a process of its own: so many uploads at once."""
    s3, path = bucket(), Path(folder) / "file"
    path.write_bytes(os.urandom(1 << 20) * (SIZE >> 20) + b"x" * (SIZE % (1 << 20)))
    keys = [f"bench/boto3-{number}" for number in range(count)]
    begun, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda key: s3.client.upload_file(str(path), s3.bucket, key), keys))
    took = time.monotonic() - begun
    cpu = time.process_time() - cpu
    s3.delete(*keys)
    return {"mb_s": count * SIZE / 1e6 / took, "cpu_s": cpu, "memory_mb": peak_mb()}


def by_profile(count: int, folder: str) -> dict[str, float]:
    """The profile's own streaming, under Locust; this process signs, completes and verifies."""
    s3, client = bucket(), bucket().client
    files = []
    for number in range(count):
        key = f"bench/profile-{number}"
        upload = client.create_multipart_upload(Bucket=s3.bucket, Key=key)["UploadId"]
        more = {"Bucket": s3.bucket, "Key": key, "UploadId": upload}
        parts = [
            client.generate_presigned_url("upload_part", Params={**more, "PartNumber": n + 1}, ExpiresIn=3600)
            for n in range(-(-SIZE // PART))
        ]
        files.append({"key": key, "upload": upload, "parts": parts})
    plan, out = Path(folder) / "plan.json", Path(folder) / "out.json"
    plan.write_text(
        json.dumps({"files": files, "size": SIZE, "part_size": PART, "count": count, "out": str(out)})
    )
    out.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(ROOT / "bench" / "uploads" / "sender.py"),
        "--headless",
    ]
    command += ["-u", str(count), "-r", "100", "-t", "300s", "--only-summary", "--loglevel", "ERROR"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=os.environ | {"BENCH_PLAN": str(plan), "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = json.loads(out.read_text())
    completing = time.monotonic()
    for one in done:
        client.complete_multipart_upload(
            Bucket=s3.bucket, Key=one["key"], UploadId=one["upload"], MultipartUpload={"Parts": one["tags"]}
        )
    completing = time.monotonic() - completing
    wrong = [one["key"] for one in done if s3.sha256(one["key"]) != one["sha256"]]
    assert not wrong, f"other bytes than were sent: {wrong}"
    s3.delete(*[one["key"] for one in done])
    took = max(one["done"] for one in done) - min(one["begun"] for one in done) + completing
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"mb_s": count * SIZE / 1e6 / took, "cpu_s": cpu, "memory_mb": after.ru_maxrss / 1024}


def peak_mb() -> float:
    """This process's largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


TOOLS = {"profile": by_profile, "boto3": by_boto3}


def main() -> None:
    """Runs the tools in turn, each in a process of its own, and prints medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", default="1,4,20")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=TOOLS)
    options = parser.parse_args()
    counts = [int(text) for text in options.files.split(",")]
    if options.child:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(TOOLS[options.child](counts[0], folder)))
        return
    print(f"{'files':>6} {'tool':<9} {'MB/s':>8} {'(each round)':<24} {'CPU s':>7} {'memory MB':>10}")
    with embedded.attach(progress=sys.stderr) as stack:
        for count in counts:
            found: dict[str, list[dict[str, float]]] = {tool: [] for tool in TOOLS}
            for number in range(options.rounds):
                for tool in list(TOOLS)[:: 1 if number % 2 else -1]:
                    command = [
                        sys.executable,
                        "-m",
                        "bench.load_upload",
                        "--child",
                        tool,
                        "--files",
                        str(count),
                    ]
                    done = subprocess.run(
                        command,
                        env={**os.environ, **stack.variables},
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    if done.returncode:
                        sys.exit(done.stderr[-2000:])
                    found[tool].append(json.loads(done.stdout.splitlines()[-1]))
            for tool, runs in found.items():
                rates = [one["mb_s"] for one in runs]
                print(
                    f"{count:>6} {tool:<9} {statistics.median(rates):>8.1f} "
                    f"{'(' + ', '.join(f'{rate:.0f}' for rate in rates) + ')':<24} "
                    f"{statistics.median(one['cpu_s'] for one in runs):>7.2f} "
                    f"{max(one['memory_mb'] for one in runs):>10.0f}"
                )


if __name__ == "__main__":
    main()
