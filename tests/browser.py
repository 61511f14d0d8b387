"""Headless Chromium for tests of pages: `with chromium() as page: page.get(url)`.

It needs Debian's packages `chromium` and `chromium-driver`; a test without them is skipped.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.conftest import require_or_skip

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--no-first-run",
)  # fmt: skip
AXE = files("selenium_axe_python") / "axe-core" / "axe.min.js"


@contextmanager
def chromium(width: int = 1440, height: int = 900, scheme: str = "light") -> Iterator[Chrome]:
    """Yield a browser whose screen is `width` x `height` CSS pixels, `scheme` light or dark."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        require_or_skip("no chromium: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location, driver = map(str, programs)
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(driver))
    try:
        look(browser, width, height, scheme)
        yield browser
    finally:
        browser.quit()


def look(browser: Chrome, width: int, height: int = 900, scheme: str = "light") -> None:
    """Change the screen's size and the colour scheme that the user prefers, as on another device.

    A window cannot do that: Chromium makes none that is narrower than 500 pixels.
    """
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preferred = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preferred]})


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, as what a page shows may come a moment later.

    Raises:
        AssertionError: it does not in 30 seconds.
    """
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the page did not come to that"
        time.sleep(0.02)


def console_errors(browser: Chrome) -> list[str]:
    """Return errors since the last call: of scripts, of files not loaded, of what CSP refused."""
    lines = browser.execute("getLog", {"type": "browser"})["value"]
    return [str(line["message"]) for line in lines if line["level"] == "SEVERE"]


def inaccessible(browser: Chrome) -> list[str]:
    """Return what axe-core finds wrong: its rule, and the first element that breaks it."""
    browser.set_script_timeout(120)  # it looks at every element
    browser.execute_script(AXE.read_text("utf-8"))
    found = browser.execute_async_script("axe.run().then(end => arguments[0](end.violations))")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def screenshot(browser: Chrome, file: Path) -> None:
    """Write what is on the screen as PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(browser.get_screenshot_as_png())
