"""A RabbitMQ of our own on loopback; everything that it writes is in a directory of its own, and nothing of it is left when it stops."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sparql_servers import free_port

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Where Debian has it; the one in the path changes the user."""

START_SECONDS = 240.0


@contextmanager
def rabbitmq(directory: Path) -> Iterator[str]:
    """The URL of a broker, until the block ends. It fails where the broker is not installed or does not start."""
    port = free_port()
    environment = _environment(directory, port)
    with (directory / "output").open("wb") as output:
        children = [
            subprocess.Popen(command, env=environment, start_new_session=True, stdout=output, stderr=output)
            for command in (["epmd"], [SERVER])
        ]
        try:
            _wait_until_it_listens(port, children[1], directory / "output")
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            for child in reversed(children):
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(60)


def _environment(directory: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": "ld-reservations@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": str(directory / "no.conf"),
        "RABBITMQ_CONFIG_FILE": str(directory / "no"),
        "RABBITMQ_MNESIA_BASE": str(directory / "data"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
    }


def _wait_until_it_listens(port: int, server: "subprocess.Popen[bytes]", output: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"RabbitMQ did not start: {output.read_text(errors='replace')[-2000:]}")
