"""A Chromium without a window, which opens a report as a reader does and tells what happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """Opens one page after another.

    Parameters
    ----------
    profile
        An empty folder.
    """

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(next(path for name in NAMES if (path := shutil.which(name))))
        for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(60)

    def open(self, path: Path) -> None:
        """Load a file, and wait until its charts are drawn."""
        self.told()
        self.requests()
        self.driver.get(path.resolve().as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait until every chart that has a place is drawn, and nothing is drawn any more."""
        self.driver.execute_async_script(
            """
            const done = arguments[0];
            const wanted = () => [...document.querySelectorAll(".chart")];
            let last = "";
            const look = () => {
              const now = wanted().map((place) => `${place.id}${place.dataset.drawn}${place.innerHTML.length}`).join();
              const ready = wanted().every((place) => place.querySelector("svg"));
              if (ready && now === last) done(); else { last = now; setTimeout(look, 120); }
            };
            look();
            """
        )

    def told(self) -> list[str]:
        """What the page wrote to the console since the last time."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def run(self, script: str, *arguments: object) -> Any:
        """Value of a script's `return`."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """Text of an element, as it is shown."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def table(self, selector: str) -> list[list[str]]:
        """Cells of a table's body, wherever it is folded away."""
        return self.run(
            "return [...document.querySelector(arguments[0]).tBodies[0].rows]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent))",
            selector,
        )

    def rows(self, chart: str, name: str) -> list[dict[str, Any]]:
        """Rows that a chart was drawn from."""
        found = self.run("return JSON.stringify(report.views.get(arguments[0]).view.data(arguments[1]))", chart, name)
        return json.loads(found)

    def emulate(self, media: str = "", **features: str) -> None:
        """A medium, "print" for instance, and its features, prefers_color_scheme="dark"."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": listed})


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser for some tests; they are skipped where there is none."""
    pytest.importorskip("selenium")
    if not any(shutil.which(name) for name in NAMES) or shutil.which("chromedriver") is None:
        pytest.skip("no Chromium with its chromedriver is installed: reports are not looked at in a browser")
    opened = Browser(folder)
    try:
        yield opened
    finally:
        opened.driver.quit()
