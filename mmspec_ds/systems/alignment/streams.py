"""The text of answers as it comes, token by token."""

from collections.abc import Callable, Sequence

from mmspec_ds.systems.alignment.prompt import PromptWriter

Stream = Callable[[int, str], None]
"""Given the number of a prompt and the text that its answer goes on with."""


class Streams:
    """Passes on the text of several answers as it comes; a character whose bytes have not all come waits.

    Args:
        writer: makes text of ids.
        numbers: of the prompts.
        stream: is given the text; nothing is without.
    """

    def __init__(self, writer: PromptWriter, numbers: Sequence[int], stream: Stream | None) -> None:
        self._writer, self._numbers, self._stream = writer, numbers, stream
        self._given = [""] * len(numbers)

    def see(self, place: int, ids: list[int]) -> None:
        """The ids of an answer so far."""
        text = self._writer.decode(ids).lstrip()
        if self._stream is not None and not text.endswith("\ufffd"):
            self._give(place, text)

    def finish(self, answers: Sequence[list[int]]) -> None:
        """The ids of all answers, whole."""
        for place, ids in enumerate(answers):
            if self._stream is not None:
                self._give(place, self._writer.decode(ids).lstrip())

    def _give(self, place: int, text: str) -> None:
        new = text[len(self._given[place]) :]
        if new and self._stream is not None:
            self._given[place] = text
            self._stream(self._numbers[place], new)
