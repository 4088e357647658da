"""An object store: moto's S3 server, a process of its own that speaks the protocol over loopback."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from pyarrow import fs


@pytest.fixture(scope="session")
def s3():
    """Start the server; return the environment that leads to it. It has one bucket, `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        address.split(":")[1],
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_up(f"http://{address}/moto-api/")
        keys = {"access_key": "any", "secret_key": "any", "region": "us-east-1"}
        store = fs.S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True, **keys)
        store.create_dir("bucket")
        yield {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.kill()
        server.wait()


def _wait_until_up(url, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as e:
            e.close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
