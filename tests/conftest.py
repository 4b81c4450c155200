"""Fixtures that every room may use."""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real and published data beside the checkout; a test that needs it skips without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data are not at ../shared/data")
    return folder


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small files in the shapes that people really have, beside the checkout; a test that needs
    it skips without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the files of ../shared/cases are not there")
    return folder


@pytest.fixture(scope="session")
def bacteria(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published MALDI-TOF spectra of four species of bacteria, unpacked; a test that needs them skips
    without them."""
    packed = shared_data / "maldi" / "bruker_bacteria_spectra.tar.gz"
    if not packed.is_file():
        pytest.skip("the published MALDI-TOF spectra are not at ../shared/data/maldi")
    folder = tmp_path_factory.mktemp("bacteria")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
TAKE_PIPES = (  # Chromium wants to be spoken to by descriptor 3 and to answer by descriptor 4
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """A page in a headless Chromium, by the DevTools protocol through a pipe: no port, no driver."""

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        starter = [sys.executable, "-c", TAKE_PIPES, str(theirs_in), str(theirs_out)]
        self._process = subprocess.Popen(
            [*starter, program, *QUIET, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._buffer, self._session = 0, b"", None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def send(self, method: str, *, patience: float = 30, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + patience
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
                piece = os.read(self._in, 1 << 20) if ready else b""
                if not piece:
                    raise TimeoutError(f"Chromium has not answered {method}")
                self._buffer += piece
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Show a page in a window of so many pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.send("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, patience: float = 15) -> Any:
        """The value of an expression as soon as it is true; fails with the last one after so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            value = self.value(script)
            if value:
                return value
            assert time.monotonic() < deadline, f"after {patience} s still {value!r}: {script}"
            time.sleep(0.1)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is seen, or the whole page, as a PNG."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the processes, those that Chromium has started as well."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; a test that needs it skips where none is installed."""
    program = next((path for name in CHROMIUM if (path := shutil.which(name)) is not None), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
