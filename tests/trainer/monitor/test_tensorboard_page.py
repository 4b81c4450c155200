"""TensorBoard on a real run, opened in a real browser."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

LONGEST = 40.0
"""Seconds for the whole test, the start of TensorBoard included; about 6 on two quiet cores."""

LETTERS = """(() => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) found.push(node.textContent.trim());
    if (node.shadowRoot) walk(node.shadowRoot);
    if (!['STYLE', 'SCRIPT', 'NOSCRIPT'].includes(node.tagName)) node.childNodes.forEach(walk);
  };
  if (document.body) walk(document.body);
  return found;
})()"""
"""All texts of the page, those in shadow trees as well."""

DRAWN = """(() => {
  let found = 0;
  const walk = (node) => {
    if (node.tagName === 'path' && (node.getAttribute('d') || '').length > 20) found += 1;
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  if (document.body) walk(document.body);
  return found;
})()"""
"""How many curves have been drawn."""

PICTURES = """(() => {
  const found = [];
  const walk = (node) => {
    if (node.tagName === 'IMG' && node.complete && node.naturalWidth) found.push(node.naturalWidth);
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  if (document.body) walk(document.body);
  return found;
})()"""
"""The widths of the pictures that have been loaded."""


@pytest.fixture(scope="module")
def board(watched: Any) -> Iterator[str]:
    """The address of a TensorBoard that shows the run."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    program = [sys.executable, "-m", "tensorboard.main", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [*program, "--logdir", str(watched.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(timeout=10)


def open_when_ready(browser: Any, address: str, deadline: float) -> None:
    """Show a page as soon as the server answers."""
    while True:
        browser.open(address, 1280, 1600)
        if browser.value("document.title") == "TensorBoard":
            return
        assert time.monotonic() < deadline, "TensorBoard has not started"
        time.sleep(0.25)


@pytest.mark.browser
def test_charts_and_pictures_are_seen(browser: Any, board: str, tmp_path: Path) -> None:
    deadline = time.monotonic() + LONGEST

    def wait_for(script: str) -> Any:
        return browser.wait_for(script, deadline - time.monotonic())

    open_when_ready(browser, f"{board}/#custom_scalars", deadline)
    # The groups of the layout, and the curves of the first, which is open from the beginning.
    tags = ("loss/train", "loss/validation", "loss/total", "gradient/norm", "auxiliary/balance", "auxiliary/z")
    expected = ["losses", "schedules", "routing", "gradient conflict", "resources"]
    expected += [f"{tag} (tensorboard)" for tag in tags]
    wait_for(f"((seen) => {json.dumps(expected)}.every(text => seen.includes(text)))({LETTERS})")
    wait_for(f"{DRAWN} >= 4")
    browser.screenshot(tmp_path / "curves.png")
    assert len(Image.open(tmp_path / "curves.png").convert("RGB").getcolors(1 << 24)) > 100

    browser.open(f"{board}/?pictures#images", 1280, 1600)
    assert min(wait_for(f"{PICTURES}.length >= 4 && {PICTURES}")) > 200
    texts = browser.value(LETTERS)
    for name in ("load_by_layer", "load_by_family", "gradient_conflict", "proposals"):
        assert f"validation/{name}" in texts

    browser.open(f"{board}/?settings#hparams", 1280, 1600)
    wait_for(f"{LETTERS}.includes('model.d_model')")
