"""Falcon's hello-world under our web servers and their settings: what an answer costs before it is about anything."""

import os
from typing import Any

import falcon

from ld_server import granian_server
from ld_server.settings import Settings
from ld_server.wsgi import WebServer


class Hello:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "application/json"
        resp.data = b'{"hello": "world"}'


class HelloServer(WebServer):
    def load(self) -> Any:
        return hello()


def hello(*_settings: Settings) -> Any:
    app = falcon.App()
    app.add_route("/health/live", Hello())
    app.add_route("/hello", Hello())
    return app


if __name__ == "__main__":
    chosen = Settings.from_environment(os.environ)
    if chosen.server == "granian":
        granian_server.serve(chosen, hello)
    else:
        HelloServer(chosen).run()
