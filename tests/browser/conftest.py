"""A real browser, headless, in front of the application on a port of this machine."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests.http.conftest import Site, open_site
from tests.http.test_attachments import form
from tests.pictures import PDF, described, picture

DESK, PHONE, SMALL_PHONE = (1200, 850), (390, 844), (360, 740)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Nobody reads it."""


@dataclass(frozen=True)
class Served:
    """A site, and where a browser finds it."""

    site: Site
    address: str

    @property
    def with_key(self) -> str:
        """An address that asks for a key, with the key in it."""
        return self.address.replace("://", f"://planner:{self.site.keys['admin']}@") + "/v1/rent-actions"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """The application with something of everything in it."""
    place = tmp_path_factory.mktemp("served")
    server = make_server("localhost", 0, lambda *_: [], server_class=Server, handler_class=Silent)
    address = f"http://localhost:{server.server_port}"
    url = f"sqlite:///{shutil.copy(sqlite_template, place / 'ledger.db')}"
    parts = build(Settings(data_dir=place, database_url=url, sparql_url="memory:", base_iri=address))
    site = open_site(parts)
    fill(site)
    server.set_app(site.client.app)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Served(site, address)
    server.shutdown()
    thread.join()
    server.server_close()
    parts.close()


def fill(site: Site) -> None:
    timer = site.item_type("timer-v2", name="Timer node, second version", turnaroundAfter="PT4H", metadata={"colour": "red"})
    for number in range(1, 6):
        site.asset(timer, assetTag=f"TN-{number:03}", location="Innsbruck")
    site.reservation(timer, 2, purpose="Night ski race")
    site.reservation(timer, 1, purpose="</script><script>document.title='taken'</script>")
    assert site.post("/v1/rent-actions/ra_1/approve").status_code == 200
    attach(site, "asset", "asset_1", "front.jpg", picture(size=(800, 600), exif=described()))
    attach(site, "asset", "asset_1", "a serial number with a name that goes on and on without an end to it.jpg", picture(size=(300, 900)))
    attach(site, "asset", "asset_1", "Handbook of the timer.pdf", PDF, "application/pdf")
    log(site, kind="inspection", summary="Looked at after the race", performedAt="2026-11-20T09:00:00Z", outcome="fail", nextAction="hold",
        details="The lens has a crack.\nThe battery is fine.")  # fmt: skip
    attach(site, "maintenance_log", "log_1", "crack.jpg", picture(size=(640, 480)))
    log(site, kind="repair", summary="Replaced the lens", performedAt="2026-11-21T09:00:00Z", outcome="pass", nextAction="return_to_pool")
    log(site, kind="repair", summary="Replaced the filter", performedAt="2026-11-21T09:00:00Z", outcome="pass", corrects="log_2")
    log(site, kind="qa", summary="Yearly inspection", plannedStart="2027-05-01T08:00:00Z", plannedEnd="2027-05-01T18:00:00Z")
    attach(site, "rent_action", "ra_1", "plan of the course.jpg", picture(size=(640, 480)))


def attach(site: Site, kind: str, owner: str, name: str, content: bytes, content_type: str = "image/jpeg") -> None:
    body, form_type = form({"ownerKind": kind, "ownerId": owner}, content, name, content_type)
    answer = site.ask("POST", "/v1/attachments", body=body, Content_Type=form_type)
    assert answer.status_code == 201, answer.text


def log(site: Site, **entry: str) -> None:
    answer = site.post("/v1/assets/asset_1/maintenance-logs", entry)
    assert answer.status_code == 201, answer.text


class Browser:
    """Chromium with a profile of its own, which is gone afterwards."""

    def __init__(self, size: tuple[int, int], scheme: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        self._downloads = Path(self._profile) / "downloads"
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={self._profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size != DESK}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self._downloads)})

    @property
    def downloads(self) -> list[Path]:
        return [one for one in self._downloads.glob("*") if one.suffix != ".crdownload"]

    @property
    def heading(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "h1").text

    def click(self, text: str) -> None:
        self.driver.find_element(By.LINK_TEXT, text).click()

    def run(self, script: str) -> Any:
        """What a script gives that we run in the page; the page itself has none."""
        return self.driver.execute_script(script)

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)


@pytest.fixture
def browser(request: pytest.FixtureRequest, served: Served) -> Iterator[Browser]:
    """
    A browser on a desk in daylight, unless the test says otherwise: a size and a colour scheme.

    Whoever sits there has given the key once, in the address, as nobody can type into the browser's own question here.
    """
    size, scheme = getattr(request, "param", (DESK, "light"))
    found = Browser(size, scheme)
    found.driver.get(served.with_key)
    yield found
    found.close()
