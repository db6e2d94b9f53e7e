"""`jaxsr demo`, the page as a person uses it: a real Chromium, a real upload."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import jaxsr
from jaxsr.imaging import read_picture, write_image
from jaxsr.imaging.metadata import Metadata
from jaxsr.weights import zoo

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Chromium as any user, with nothing that it would do of its own accord.
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
    *("disable-dev-shm-usage", "window-size=1280,800"),
)


def find_browser() -> tuple[str, str]:
    """Returns Chromium and its driver, JAXSR_BROWSER's if it names one."""
    named = os.environ.get("JAXSR_BROWSER")
    browser = named or shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if named and not (driver and Path(named).is_file()):
        pytest.fail(f"JAXSR_BROWSER is {named}: no such file, or no chromedriver")
    if not (browser and driver):
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    return browser, driver


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    pytest.importorskip("gradio")
    find_browser()
    log = tmp_path_factory.mktemp("demo") / "log"
    command = [sys.executable, "-m", "jaxsr.cli", "demo", "--max-megapixels", "0.1"]
    # As many devices as here: rows are shared out alike, and every bit is the same.
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "8"}
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, env=env) as server,
    ):
        try:
            wait_until(lambda: "Ctrl-C" in log.read_text() or server.poll() is not None)
            yield log.read_text().split()[0]
        finally:
            # Programs that a shell runs in the background do not hear Ctrl-C.
            deaf = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            server.send_signal(signal.SIGTERM if deaf else signal.SIGINT)
            ended = server.wait(60)
        assert ended == (-signal.SIGTERM if deaf else 130)


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = find_browser()
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"user-data-dir={folder / 'user'}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        # Headless, it saves nothing unless told where to.
        chrome.execute_cdp_cmd(
            "Browser.setDownloadBehavior",
            {"behavior": "allow", "downloadPath": str(folder)},
        )
        chrome.get(address)
        yield Page(chrome, folder)
    finally:
        chrome.quit()


class Page:
    """What a person does there."""

    def __init__(self, chrome, downloads: Path):
        self.chrome, self.downloads = chrome, downloads

    def find(self, selector: str):
        wait_until(lambda: self.chrome.find_elements("css selector", selector))
        return self.chrome.find_element("css selector", selector)

    def choose(self, network: str, scale: int) -> None:
        self.find("input[aria-label='Network']").click()
        self.find(f"li[aria-label='{network}']").click()
        self.find(f"input[type=radio][value='{scale}']").click()

    def upload(self, path: Path) -> None:
        clear = "#upload button[aria-label='Clear']"
        for button in self.chrome.find_elements("css selector", clear):
            button.click()
        self.find("#upload input[type=file]").send_keys(str(path))
        wait_until(lambda: path.stem in self.find("#upload").text)

    def press(self) -> None:
        self.find("#start").click()

    def download(self, name: str) -> Path:
        self.find("#download").click()
        wait_until(lambda: (self.downloads / name).exists())
        return self.downloads / name

    def seen(self) -> list[np.ndarray]:
        """Returns the two pictures of the slider."""
        found = []
        for image in self.chrome.find_elements("css selector", "img")[:2]:
            with urllib.request.urlopen(image.get_attribute("src")) as content:
                found.append(np.asarray(Image.open(io.BytesIO(content.read()))))
        return found

    def visited(self) -> set[str]:
        """Returns where requests went since the page was opened."""
        events = [json.loads(e["message"]) for e in self.chrome.get_log("performance")]
        urls = {
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        }
        # The browser's own first page, and pictures within pages.
        own = ("chrome:", "data:", "blob:")
        outside = [url for url in urls if not url.startswith(own)]
        return {"/".join(url.split("/")[:3]) for url in outside}


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in two minutes"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("network", "scale", "dtype"),
    [("rcbam_lite", 2, np.uint8), ("bicubic", 3, np.uint16)],
)
def test_downloads_what_the_network_makes(page, tmp_path, network, scale, dtype):
    random = np.random.default_rng(0)
    picture = random.integers(0, np.iinfo(dtype).max, (20, 30, 3)).astype(dtype)
    path = tmp_path / f"photo {dtype.__name__}.png"
    write_image(path, picture, Metadata(icc=PROFILE, dpi=(300, 300)))
    page.choose(network, scale)
    page.upload(path)
    page.press()
    said = f"{30 * scale}x{20 * scale} pixels of {8 * picture.itemsize} bits"
    wait_until(lambda: said in page.find("#about").text)

    result, metadata = read_picture(page.download(f"{path.stem}_x{scale}.png"))
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, jaxsr.load(network, scale=scale)(picture))
    assert metadata.icc == PROFILE
    np.testing.assert_allclose(metadata.dpi or 0, 300, rtol=1e-3)
    before, after = page.seen()
    bicubic = jaxsr.load("bicubic", scale=scale)(picture)
    for seen, whole in ((before, bicubic), (after, result)):
        deep = dtype == np.uint16
        np.testing.assert_array_equal(seen, whole >> 8 if deep else whole)


def test_nothing_is_asked_for_elsewhere(page, address):
    assert page.visited() == {address.rstrip("/")}


def test_every_published_network_can_be_chosen(address):
    with urllib.request.urlopen(f"{address}config") as answer:
        parts = json.load(answer)["components"]
    (choices,) = (p["props"]["choices"] for p in parts if p["type"] == "dropdown")
    published = {zoo.name_of(entry) for entry in zoo.read_manifest()}
    assert {value for _, value in choices} == published | {"bicubic"}
    assert "rcbam_lite_photo" in published


def test_one_line_for_what_cannot_be_done(page, tmp_path):
    write_image(tmp_path / "large.png", np.zeros((200, 300, 3), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    page.choose("bicubic", 2)
    for name, line in (
        ("large.png", "large.png: 600x400 pixels would be more than 0.1 megapixels"),
        ("text.png", "text.png: expected a whole image file"),
    ):
        page.upload(tmp_path / name)
        page.press()
        wait_until(lambda line=line: line in page.find("body").text)
