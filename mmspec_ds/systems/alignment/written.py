"""Questions as tokens, with the objects that they name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.batch import FloatArray, Place
from mmspec_ds.systems.alignment.generation import Reading
from mmspec_ds.systems.alignment.objects import Kind, Object, kind_of
from mmspec_ds.systems.alignment.prompt import Prompt, PromptWriter, TokenRow


@dataclass(frozen=True)
class Written:
    """Some questions.

    Attributes:
        rows: as tokens.
        places: the objects of each.
        objects: by kind, each object once.
    """

    rows: list[TokenRow]
    places: list[list[Place]]
    objects: dict[Kind, list[Object]]


def write_questions(
    writer: PromptWriter, prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]
) -> Written:
    """Write questions as tokens.

    Args:
        writer: of the model.
        prompts: questions or dialogues.
        objects: of each, in the order of its placeholders.

    Raises:
        DataError: a prompt that cannot be written, or other objects than it names; names its number.
    """
    rows, places, everything = list[TokenRow](), list[list[Place]](), dict[Kind, list[Object]]()
    seen: dict[int, Place] = {}
    for number, (prompt, given) in enumerate(zip(prompts, objects)):
        try:
            row = writer.write(prompt)
        except DataError as error:
            raise type(error)(f"question {number}: {error.message}") from None
        kinds = tuple(kind_of(one) for one in given)
        if kinds != row.kinds:
            raise DataError(
                f"question {number} names {', '.join(row.kinds) or 'no object'}, and the objects are"
                f" {', '.join(kinds) or 'none'}: expected the same in the same order"
            )
        for kind, one in zip(kinds, given):
            if id(one) not in seen:
                same = everything.setdefault(kind, [])
                seen[id(one)] = Place(kind, len(same))
                same.append(one)
        rows.append(row)
        places.append([seen[id(one)] for one in given])
    return Written(rows, places, everything)


@dataclass(frozen=True)
class ReadQuestions:
    """Questions as tokens for a model that reads them.

    Attributes:
        rows: tokens of each.
        places: the objects of each.
        vectors: of all objects, by kind.
        beginnings: what each begins with that is read once.
        readings: what was read of these.
    """

    rows: list[TokenRow]
    places: list[list[Place]]
    vectors: dict[Kind, FloatArray]
    beginnings: list[tuple[int, ...]]
    readings: dict[tuple[int, ...], Reading] = field(default_factory=dict)
