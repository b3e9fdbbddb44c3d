"""The browser in which the tests open pages: Debian's Chromium, with nothing running in the background."""

from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run", "--disable-default-apps", "--no-default-browser-check"]
