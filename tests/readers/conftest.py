"""What tests of file formats share: sound files, and the two checks of malformed ones."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected


@pytest.fixture(scope="session")
def sound_files() -> Path:
    """The folder of small sound files, one or more of each format; see its README."""
    return Path(__file__).parent / "files"


@dataclass(frozen=True)
class Malformed:
    """Checks that a malformed file gives one line that names it, and costs no sound record beside it."""

    folder: Path

    def costs_one_record(
        self, name: str, content: bytes, words: str, number: int = 0, line: int | None = None, sound: int = 1
    ) -> Rejected:
        """One record is rejected, and the `sound` others are read."""
        path = self.folder / name
        path.write_bytes(content)
        items = list(read_file(path))
        (rejected,) = [item for item in items if isinstance(item, Rejected)]
        told = str(rejected)
        assert words in told
        assert told.startswith(f"{path}, record {number}")
        assert len(told.splitlines()) == 1
        assert rejected.number == number
        assert line in (None, rejected.line)
        assert sum(isinstance(item, Part) for item in items) == sound
        return rejected

    def is_refused(self, name: str, content: bytes, words: str) -> None:
        """The file as a whole is refused."""
        path = self.folder / name
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            list(read_file(path))
        told = str(caught.value)
        assert words in told
        assert str(path) in told
        assert len(told.splitlines()) == 1


@pytest.fixture
def malformed(tmp_path: Path) -> Malformed:
    return Malformed(tmp_path)
