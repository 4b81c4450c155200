"""What a run adds to questions before they become tokens: the same in training and in use."""

from collections.abc import Sequence

from mmspec_ds.systems.alignment.gene_levels import GeneWords
from mmspec_ds.systems.alignment.neighbours import Neighbours
from mmspec_ds.systems.alignment.objects import Object
from mmspec_ds.systems.alignment.prompt import Prompt
from mmspec_ds.systems.alignment.run_settings import AlignmentRun


def with_additions(
    prompts: Sequence[Prompt],
    objects: Sequence[Sequence[Object]],
    run: AlignmentRun,
    neighbours: Neighbours | None,
) -> list[Prompt]:
    """Prompts with the description of a similar molecule, and with what a cell's genes tell, as the run wants.

    Args:
        prompts: questions or dialogues.
        objects: of each.
        run: its settings.
        neighbours: the known molecules; None where the run has none.
    """
    told = prompts if neighbours is None else neighbours.prompts(prompts, objects)
    return GeneWords(run.gene_levels, run.highest_markers).prompts(told, objects)
