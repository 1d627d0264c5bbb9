"""A Virtuoso of our own on loopback; everything that it writes is in a directory of its own, and nothing of it is left when it stops."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.sparql_servers import free_port

START_SECONDS = 60.0
ISQL = "isql-vt"

CONFIGURATION = """
[Database]
DatabaseFile = virtuoso.db
ErrorLogFile = virtuoso.log
LockFile = virtuoso.lck
TransactionFile = virtuoso.trx
xa_persistent_file = virtuoso.pxa
[TempDatabase]
DatabaseFile = virtuoso-temp.db
TransactionFile = virtuoso-temp.trx
[Parameters]
ServerPort = 127.0.0.1:{sql}
DisableUnixSocket = 1
CheckpointInterval = 0
NumberOfBuffers = 10000
MaxDirtyBuffers = 6000
MaxClientConnections = 30
ServerThreads = 30
[HTTPServer]
ServerPort = 127.0.0.1:{http}
ServerRoot = .
ServerThreads = 30
MaxKeepAlives = 30
KeepAliveTimeout = 60
[SPARQL]
ResultSetMaxRows = {rows}
"""

GRANTS = ('GRANT SPARQL_UPDATE TO "SPARQL"', "DB.DBA.RDF_DEFAULT_USER_PERMS_SET('nobody', 7)")
"""What docs/operations.md tells an operator to say, where whoever reaches the port may change everything."""

ACCOUNT = (
    "DB.DBA.USER_CREATE('reservations', 'sesame')",
    'GRANT SPARQL_UPDATE TO "reservations"',
    "DB.DBA.RDF_DEFAULT_USER_PERMS_SET('reservations', 7)",
)
"""What it tells one to say for an account that alone may change anything."""


class VirtuosoServer:
    """A server that can be stopped, and started again on the same ports with what it had. It fails where it is not installed."""

    def __init__(self, directory: Path, rows: int = 1_000_000, said: Sequence[str] = GRANTS) -> None:
        assert shutil.which("virtuoso-t"), "Virtuoso is not installed: make test-virtuoso does it"
        http, self._sql = free_port(), free_port()
        self._directory = directory
        (directory / "virtuoso.ini").write_text(CONFIGURATION.format(sql=self._sql, http=http, rows=rows))
        self.url = f"virtuoso+http://127.0.0.1:{http}/sparql"
        self._http = http
        self.start()
        self.execute(*said)

    def start(self) -> None:
        command = ("virtuoso-t", "+configfile", "virtuoso.ini", "+foreground")
        self._child = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._child.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._http), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"Virtuoso did not start: {(self._directory / 'virtuoso.log').read_text(errors='replace')[-2000:]}")

    def execute(self, *statements: str) -> None:
        """SQL, as an administrator says it."""
        command = (ISQL, f"127.0.0.1:{self._sql}", "dba", "dba", "ERRORS=STDOUT", *(f"EXEC={one};" for one in statements))
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START_SECONDS).stdout
        assert "***" not in told, told

    def stop(self, hard: bool = False) -> None:
        (self._child.kill if hard else self._child.terminate)()
        self._child.wait(60)
        (self._directory / "virtuoso.lck").unlink(missing_ok=True)
