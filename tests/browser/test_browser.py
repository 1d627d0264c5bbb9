"""What a planner sees and clicks, in Chromium: reachable, readable on a desk and on a phone, by day and by night, and ours alone."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.browser.conftest import DESK, PHONE, SMALL_PHONE, Browser, Served

PATHS = (
    "/", "/v1/rent-actions", "/v1/rent-actions?status=approved", "/v1/rent-actions/ra_1", "/v1/rent-actions/ra_2",
    "/v1/rent-actions/ra_1/allocations", "/v1/rent-actions/ra_1/revisions", "/v1/rent-actions/ra_1/revisions/1",
    "/v1/catalog/assets/asset_1", "/v1/maintenance-logs/log_1", "/v1/maintenance-logs/log_2", "/v1/attachments/att_1",
    "/v1/assets/asset_1/history", "/v1/assets/asset_1/maintenance-logs",
    "/v1/catalog/assets?limit=2", "/v1/catalog/item-types/itemType_1", "/v1/catalog/kit-templates", "/v1/sparql",
    "/ns/reservations", "/shapes/asset", "/contexts/v1", "/problems", "/problems/duplicate", "/docs", "/v1/api-documentation", "/nowhere",
)  # fmt: skip

every_look = pytest.mark.parametrize(
    "browser",
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")],
    indirect=True,
    ids=["desk by day", "desk by night", "phone by day", "phone by night"],
)

PALE = """
function channel(value) { value /= 255; return value <= 0.03928 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4) }
function light(colour) { return 0.2126 * channel(colour[0]) + 0.7152 * channel(colour[1]) + 0.0722 * channel(colour[2]) }
function parsed(text) { return text.match(/[0-9.]+/g).map(Number) }
function back(element) {
  for (let one = element; one; one = one.parentElement) {
    const colour = parsed(getComputedStyle(one).backgroundColor)
    if (colour.length < 4 || colour[3] > 0) return colour
  }
  return [255, 255, 255]
}
const found = []
for (const element of document.querySelectorAll("body *")) {
  const says = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  if (!says || !element.getClientRects().length) continue
  const [one, other] = [light(parsed(getComputedStyle(element).color)), light(back(element))]
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
  const text = element.textContent.trim().slice(0, 30)
  if (contrast < 4.5) found.push(`${element.tagName}.${element.className} ${text}: ${contrast.toFixed(2)}`)
}
return found
"""
"""Texts whose contrast with what is behind them is less than WCAG 2.2 asks for (1.4.3, level AA)."""


def test_a_planner_follows_a_reservation_to_its_unit(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address)
    assert browser.heading == "ld-reservations"
    browser.click("Reservations")
    assert browser.heading == "Reservations"
    browser.click("ra_1")
    assert browser.heading == "Reservation ra_1"
    browser.click("TN-001")
    assert browser.heading == "TN-001"
    browser.click("Timer node, second version")
    assert browser.heading == "Timer node, second version"
    browser.click("Revisions")
    browser.click("1")
    assert "/itemType_1/revisions/1" in browser.driver.current_url
    browser.click("See how it is now")
    assert browser.driver.current_url == f"{served.address}/v1/catalog/item-types/itemType_1"


def test_a_list_is_filtered_paged_and_sorted(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/v1/rent-actions")
    browser.driver.find_element(By.CSS_SELECTOR, ".filter summary").click()
    Select(browser.driver.find_element(By.NAME, "status")).select_by_visible_text("approved")
    browser.driver.find_element(By.CSS_SELECTOR, ".filter button").click()
    assert [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, "tbody th")] == ["ra_1"]
    browser.driver.get(served.address + "/v1/catalog/assets?limit=2")
    browser.click("Next page")
    assert [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, "tbody th")] == ["TN-003", "TN-004"]
    browser.driver.find_element(By.CSS_SELECTOR, "a.sort[href*='sort=status']").click()
    assert "sort=status" in browser.driver.current_url and browser.heading == "Assets"


def test_a_table_is_saved_by_clicking(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/v1/catalog/assets")
    browser.click("CSV")
    deadline = time.monotonic() + 10
    while not browser.downloads and time.monotonic() < deadline:
        time.sleep(0.05)
    (file,) = browser.downloads
    assert file.name == "assets.csv"
    assert file.read_text(encoding="utf-8").count("TN-00") == 5


def test_the_keyboard_comes_to_the_content_first(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/v1/rent-actions")
    browser.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    first = browser.driver.switch_to.active_element
    assert first.text == "To the content"
    first.send_keys(Keys.ENTER)
    assert browser.driver.current_url.endswith("#content")


def test_a_hostile_name_does_nothing(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/v1/rent-actions/ra_2")
    assert browser.driver.title == "Reservation ra_2 · ld-reservations"
    document = browser.run("return JSON.parse(document.querySelector('script').textContent)")
    assert document["purpose"] == "</script><script>document.title='taken'</script>"


def test_a_term_is_found_by_its_anchor(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/ns/reservations#urgent")
    assert browser.run("return document.querySelector(':target').id") == "urgent"


PICTURES = "return [...document.images].filter(one => one.closest('main')).map(one => [one.complete && one.naturalWidth, one.currentSrc])"


@pytest.mark.parametrize("browser", [(DESK, "light"), (SMALL_PHONE, "light")], indirect=True, ids=["desk", "small phone"])
def test_a_technician_sees_the_photos_and_the_log_of_a_unit(browser: Browser, served: Served) -> None:
    browser.driver.get(served.address + "/v1/catalog/assets/asset_1")
    for one in browser.driver.find_elements(By.CSS_SELECTOR, "main img"):
        browser.driver.execute_script("arguments[0].scrollIntoView()", one)
        wait_for(lambda one=one: browser.driver.execute_script("return arguments[0].naturalWidth > 0", one))
    shown = browser.run(PICTURES)
    assert [width for width, _ in shown] == [160, 480, 480] and all(source.endswith("/thumbnail") for _, source in shown)
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
    titles = [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, ".log h3")]
    assert titles == ["Yearly inspection", "Replaced the filter", "Replaced the lens", "Looked at after the race"]
    assert browser.driver.find_element(By.CSS_SELECTOR, ".corrected h3").text == "Replaced the lens"
    browser.click("crack.jpg")
    assert browser.heading == "crack.jpg"
    wait_for(lambda: browser.run(PICTURES)[0][0] == 640)
    assert browser.run(PICTURES)[0][1].endswith("/content")
    assert not [one["message"] for one in browser.driver.get_log("browser")]


def wait_for(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@every_look
def test_every_page_fits_is_readable_and_loads_nothing_from_elsewhere(browser: Browser, served: Served) -> None:
    for path in PATHS:
        browser.driver.get(served.address + path)
        assert browser.heading, path
        width = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], (path, width)
        assert browser.run(PALE) == [], path
    hosts = {urlsplit(one).netloc.rpartition("@")[2] for one in requested(browser)}
    assert hosts == {served.address.removeprefix("http://")}
    complaints = [one["message"] for one in browser.driver.get_log("browser") if "404 (Not Found)" not in one["message"]]
    assert complaints == []


def requested(browser: Browser) -> list[str]:
    """Every address that the browser asked others for, not itself (`chrome:`, as in a new tab)."""
    events = [json.loads(one["message"])["message"] for one in browser.driver.get_log("performance")]
    addresses = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    return [address for address in addresses if not address.startswith(("chrome:", "data:", "about:"))]
