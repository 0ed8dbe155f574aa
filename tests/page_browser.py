"""What tests of the page in a real browser share."""

import os
import shutil
from base64 import b64decode

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CONTRAST = """selectors => selectors.map(selector => {
  const element = document.querySelector(selector);
  let behind = element;
  const background = node => getComputedStyle(node).backgroundColor;
  while (behind.parentElement && background(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  return [selector, getComputedStyle(element).color, background(behind)];
})"""


def browser_path():
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("RBC_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def shown(page):
    """Name of the image in the viewer, and the bytes that lie over it."""
    uri = page.locator(".stage .overlay").get_attribute("src")
    return page.locator(".now b").inner_text(), uri and b64decode(uri.partition(",")[2])


def tab_to(page, selector, most=60):
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{most} tabs did not reach {selector}")


def wait_for(page, expression, most=50):
    """Playwright's own waiting needs eval, which the page's policy forbids."""
    for _ in range(most):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came true: {expression}")


def transform_of(page):
    """Scale of the image in the viewer, and how far it is moved right and down, pixels."""
    read = "sheet => { const m = new DOMMatrix(getComputedStyle(sheet).transform); return [m.a, m.e, m.f]; }"
    return page.locator(".sheet").evaluate(read)


def contrast(color, background):
    def luminance(text):
        channels = [float(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(color), luminance(background)))
    return (high + 0.05) / (low + 0.05)
