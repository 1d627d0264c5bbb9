"""Falcon's hello-world under our gunicorn settings: what an answer costs before it is about anything."""

import os
from typing import Any

import falcon
from gunicorn.app.base import BaseApplication

from ld_server.settings import Settings
from ld_server.wsgi import gunicorn_settings


class Hello:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = "application/json"
        resp.data = b'{"hello": "world"}'


class HelloServer(BaseApplication):
    def load_config(self) -> None:
        for name, value in gunicorn_settings(Settings.from_environment(os.environ)).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        app = falcon.App()
        app.add_route("/health/live", Hello())
        app.add_route("/hello", Hello())
        return app


if __name__ == "__main__":
    HelloServer().run()
