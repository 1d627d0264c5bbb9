"""What one running deployment takes for itself: the data directory, which it keeps private, and the port."""

import errno
import fcntl
import os
import socket
from pathlib import Path

LOCK = "lock"


class Taken(Exception):
    """Something we need is used by someone else; the message is one line for the person who started us."""


def private_directory(path: Path) -> Path:
    """
    Make the directory for its owner alone (0700), with its parents.

    One that exists and has something in it keeps its mode: it may be shared on purpose, and what we put in is private.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(path.iterdir()):
            path.chmod(0o700)
    except OSError as error:
        raise Taken(f"data directory {path} cannot be used: {error.strerror}") from error
    return path


def claim_directory(path: Path) -> int:
    """
    Lock the data directory for as long as this process lives. Gives the descriptor that holds the lock.

    Raises Taken when another process has it. Children do not inherit the lock, and it goes when we do, however we end.
    """
    descriptor = os.open(private_directory(path) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise Taken(f"data directory {path} is in use by process {holder or 'unknown'}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def check_port(host: str, port: int) -> None:
    """Raises Taken when the web server could not listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: connections that linger do not count
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        reason = {errno.EADDRINUSE: f"port {port} is taken", errno.EACCES: f"port {port} is reserved for administrators"}
        raise Taken(reason.get(error.errno or 0, f"cannot listen on {host}:{port}: {error.strerror}")) from error


def free_port(first: int = 20_000, last: int = 32_000) -> int:
    """
    A loopback port nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections (from 32,768 on Linux), so that it is still
    free when a child is started again on it. Where the search begins depends on the process, so neighbours do not meet.
    """
    span = last - first
    for step in range(span):
        port = first + (os.getpid() * 7 + step) % span
        try:
            check_port("127.0.0.1", port)
        except Taken:
            continue
        return port
    raise Taken(f"no free port on loopback between {first} and {last}")
