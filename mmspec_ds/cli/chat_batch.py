"""The part of `mmspec chat` for many questions."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.progress import ProgressLines
from mmspec_ds.systems.alignment.dialogue import Dialogue
from mmspec_ds.systems.alignment.question_batch import answer_questions
from mmspec_ds.systems.elucidation.answers import AnswersFile


def answer_file(
    dialogue: Dialogue, questions: Path, out: Path | None, *, resume: bool, choices: Sequence[str]
) -> int:
    """Answer the questions of a file, into another one or on the output; the exit status, 1 if none was
    answered.

    Args:
        dialogue: with the model, and the objects of questions that name none.
        questions: lines of JSON.
        out: the file of answers; they are printed without.
        resume: leave out what `out` answers.
        choices: of questions that state none.
    """
    tally = _Tally()
    if out is None:
        for reply in answer_questions(
            dialogue.model, questions, dialogue.subjects, dialogue.decoding, choices=choices
        ):
            print(json.dumps(reply, ensure_ascii=False), flush=True)
            tally.add(reply)
    else:
        with AnswersFile(out, resume=resume) as file, ProgressLines("answering", unit="questions") as progress:
            for reply in answer_questions(
                dialogue.model,
                questions,
                dialogue.subjects,
                dialogue.decoding,
                choices=choices,
                answered=file.answered,
            ):
                file.write(reply)
                tally.add(reply)
                progress.at(tally.all, status=str(tally))
        print(f"{out}: {tally}{f', {file.kept} answered before' if file.kept else ''}")
    if tally.all and tally.failed == tally.all:
        others = f" (and {tally.all - 1} more without an answer)" if tally.all > 1 else ""
        print(f"mmspec: {tally.first_error}{others}", file=sys.stderr)
        return 1
    return 0


class _Tally:
    """How many questions were answered, and what the checks and expected answers say."""

    def __init__(self) -> None:
        self.all = self.failed = self.agree = self.disagree = self.expected = self.equal = 0
        self.first_error = ""

    def add(self, reply: dict[str, Any]) -> None:
        self.all += 1
        if "error" in reply:
            self.failed += 1
            self.first_error = self.first_error or str(reply["error"])
            return
        verdicts = [one["verdict"] for one in reply["checks"]]
        self.agree += verdicts.count("agrees")
        self.disagree += verdicts.count("disagrees")
        if "expected" in reply:
            self.expected += 1
            self.equal += reply["answer"].strip().lower() == reply["expected"].strip().lower()

    def __str__(self) -> str:
        told = [f"{self.all:,} questions, {self.failed:,} without an answer"]
        if self.agree or self.disagree:
            told.append(f"checks: {self.agree:,} agree, {self.disagree:,} disagree")
        if self.expected:
            told.append(f"{self.equal:,} of {self.expected:,} as expected")
        return "; ".join(told)
