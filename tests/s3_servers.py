"""A real S3 endpoint for tests: moto's server, a child process on loopback that is spoken to over HTTP."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.sparql_servers import free_port

BUCKET = "fleet"
KEY, SECRET = "workshop", "not/so+secret"
"""Credentials as the URL of a deployment may carry them; moto takes any."""


class S3Server:
    """A server that can be stopped, and started again on the same port with nothing in it."""

    def __init__(self) -> None:
        self._port = free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self.url = f"s3://{KEY}:not%2Fso%2Bsecret@{BUCKET}/attachments"
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = Path(sys.executable).parent / "moto_server"
        command = [str(program), "-H", "127.0.0.1", "-p", str(self._port)]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            if self._serves():
                return
            time.sleep(0.05)
        raise AssertionError("the S3 server did not start")

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _serves(self) -> bool:
        """Makes the bucket; one that is there already is as good."""
        request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT", headers={"Authorization": _ANYBODY})
        try:
            with urllib.request.urlopen(request, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code == 409
        except (urllib.error.URLError, OSError):
            return False


_ANYBODY = f"AWS4-HMAC-SHA256 Credential={KEY}/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
