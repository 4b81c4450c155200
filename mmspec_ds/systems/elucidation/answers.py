"""A file of answers, a line of JSON each, that grows beside its place and goes on where a run was cut off."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from mmspec_ds.errors import DataError


class AnswersFile:
    """Answers, kept in "<name>.partial" until all are there; then that file takes the name.

    Cut off, the partial file stays, and `resume` goes on with it: a last line without its end is dropped, every
    whole one counts as answered, errors too. With `resume` an earlier complete file is extended in the same
    way; without it, both are begun anew.

    Use as a context; `OSError` inside is raised as a `DataError`.

    Args:
        path: of the complete file.
        resume: keep what was answered before.

    Attributes:
        kept: how many answers were there at the start.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self._path, self._resume = path, resume
        self._partial = path.with_name(f"{path.name}.partial")
        self._answered: Counter[str] = Counter()
        self._file: IO[str] | None = None
        self.kept = 0

    def __enter__(self) -> Self:
        try:
            if self._resume:
                if not self._partial.exists() and self._path.exists():
                    shutil.copyfile(self._path, self._partial)
                if self._partial.exists():
                    self._take_up()
            self._file = self._partial.open("a" if self._resume else "w", encoding="utf-8")
        except OSError as error:
            raise self._fault(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        assert self._file is not None
        try:
            self._file.close()
            if kind is None:
                os.replace(self._partial, self._path)
            elif not self._partial.stat().st_size:
                self._partial.unlink()
        except OSError as fault:
            raise self._fault(fault) from None
        if isinstance(error, OSError):
            raise self._fault(error) from None

    def answered(self, name: str) -> bool:
        """Whether the id was answered before. Each answer counts once: of two records of one name, two answers
        are needed."""
        if not self._answered[name]:
            return False
        self._answered[name] -= 1
        return True

    def write(self, answer: Mapping[str, Any]) -> None:
        """Add an answer; it is in the file when this returns."""
        assert self._file is not None
        self._file.write(json.dumps(answer) + "\n")
        self._file.flush()

    def _take_up(self) -> None:
        whole = 0
        with self._partial.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                self._answered[self._id(line, number)] += 1
                whole += len(line)
        self.kept = self._answered.total()
        os.truncate(self._partial, whole)

    def _id(self, line: bytes, number: int) -> str:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            path = self._partial
            raise DataError(f"line {number} is no answer (JSON with an id): not a file to resume", path=path)
        return str(answer["id"])

    def _fault(self, error: OSError) -> DataError:
        return DataError(f"cannot be written: {error.strerror or error}", path=self._path)
