"""Uploads to a real server that are cut off on the way, and a server that is killed during one."""

import http.client
import json
import socket
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from processes import eventually

from bench.load import HOST
from bench.post import post, post_story
from bench.servers import free_port, settings_at, web_only
from bench.uploads import AUTHORIZED, HEAD, KIND, MIB, film, send
from ld_server.blobs.local import KEPT, UNDER_WAY
from ld_server.settings import Settings

SIZE = 4 * MIB


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path, free_port(), web_workers=1)


def files(settings: Settings, directory: str) -> list[Path]:
    return [one for one in (settings.data_dir / "blobs" / directory).rglob("*") if one.is_file()]


def begun(port: int, request: str, headers: dict[str, str], start: bytes, size: int) -> socket.socket:
    """A connection on which only the beginning of a body has been sent."""
    connection = socket.create_connection((HOST, port))
    named = {"Host": HOST, "Content-Length": str(size), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    connection.sendall(f"{request} HTTP/1.1\r\n{head}\r\n".encode() + start)
    return connection


def attached(port: int) -> Any:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)  # loopback only
    connection.request("GET", "/v1/attachments", headers=AUTHORIZED)
    found = json.load(connection.getresponse())
    connection.close()
    return found["totalItems"]


def test_a_form_whose_connection_is_cut_leaves_nothing(settings: Settings) -> None:
    with web_only(settings):
        owner = post_story(settings.port).assets[0].rpartition("/")[2]
        fields = "".join(
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("ownerKind", "asset"), ("ownerId", owner))
        )
        file = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\nContent-Type: {KIND}\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=edge", **AUTHORIZED}
        connection = begun(settings.port, "POST /v1/attachments", headers, (fields + file).encode() + HEAD + bytes(MIB), SIZE)
        eventually(lambda: files(settings, UNDER_WAY), "the beginning of the file on the disk")
        connection.close()
        eventually(lambda: not files(settings, UNDER_WAY), "nothing being left of it")
        assert files(settings, KEPT) == [] and attached(settings.port) == 0


def test_a_server_that_is_killed_during_an_upload_leaves_nothing_visible(settings: Settings) -> None:
    with web_only(settings) as server:
        owner = post_story(settings.port).assets[0].rpartition("/")[2]
        said = {"ownerKind": "asset", "ownerId": owner, "fileName": "film.mp4", "contentType": KIND, "byteSize": SIZE}
        draft, _ = post(settings.port, "/v1/attachments/initiate", said)
        link = urlsplit(draft["uploadUrl"])
        where = f"{link.path}?{link.query}"
        connection = begun(settings.port, f"PUT {where}", draft["uploadHeaders"], HEAD + bytes(MIB), SIZE)
        eventually(lambda: any(one.stat().st_size for one in files(settings, UNDER_WAY)), "the beginning of the file on the disk")
        for one in [*server.children(recursive=True), server]:
            one.kill()
        connection.close()
    assert files(settings, KEPT) == []
    with web_only(settings):
        with pytest.raises(urllib.error.HTTPError, match="409"):
            post(settings.port, "/v1/attachments/complete", {"identifier": draft["identifier"]})
        assert attached(settings.port) == 0
        send(f"{HOST}:{settings.port}", "PUT", where, film(SIZE), SIZE, draft["uploadHeaders"])
        post(settings.port, "/v1/attachments/complete", {"identifier": draft["identifier"]})
        assert attached(settings.port) == 1
