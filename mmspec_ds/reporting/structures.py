"""The section of a report with drawn molecules: what the model makes of them, now and while it learnt."""

from collections.abc import Iterator, Sequence

from mmspec_ds.molecules.depiction import structure_svg
from mmspec_ds.reporting.examples import Example, Examples, Proposal
from mmspec_ds.reporting.folder import Entry, RunFolder
from mmspec_ds.reporting.html import escape, section, table

SHOWN = 4
"""Proposals that are drawn of each molecule, and validations of which one is drawn."""


def example_section(folder: RunFolder, examples: Examples) -> str:
    """Molecules that were read rightly and wrongly, drawn beside their true structures."""
    parts = [f'<p class="pale">{escape(examples.remark)}</p>']
    if examples.result is not None:
        one = examples.result
        row = ["these molecules", str(one.n), *(f"{one.top_k[k]:.1f}" for k in (1, 3, 5, 10))]
        row += [f"{one.validity:.1f}", f"{one.tanimoto:.3f}"]
        heads = ("", "molecules", *(f"Top-{k} %" for k in (1, 3, 5, 10)), "valid %", "Tanimoto")
        parts.append(table(heads, [row]))
    if examples.shown:
        words = "The score is the mean log probability of a token; the similarity is to the true structure."
        parts.append(f'<p class="pale">{words}</p>')
    parts += [_articles([_example(one) for one in examples.shown]), *_growth(folder.of("proposals"))]
    return section("examples", "Example predictions", *parts)


def _articles(articles: Sequence[str]) -> str:
    return f'<div class="examples">{"".join(articles)}</div>' if articles else ""


def _growth(told: Sequence[Entry]) -> Iterator[str]:
    """The first proposal for the same few molecules at some of the validations."""
    if not told:
        return
    count = min(SHOWN, len(told))
    chosen = [told[round(at * (len(told) - 1) / max(count - 1, 1))] for at in range(count)]
    articles = []
    for at, molecule in enumerate(chosen[-1]["examples"]):
        cards = [_structure(molecule["truth"], "true structure")]
        for entry in chosen:
            best = entry["examples"][at]["proposals"][0]
            kind = "right" if best["right"] else "wrong"
            cards.append(_structure(best["smiles"], f"step {entry['step']:,}: {kind}", kind=kind))
        articles.append(_article(escape(molecule["id"]), cards))
    yield "<h3>While it learnt: the first proposal at validations</h3>"
    yield _articles(articles)


def _example(example: Example) -> str:
    if example.rank == 1:
        told = '<span class="verdict is-right">right at rank 1</span>'
    elif example.rank is not None:
        told = f'<span class="verdict is-wrong">wrong; the true structure is at rank {example.rank}</span>'
    else:
        told = '<span class="verdict is-wrong">wrong; the true structure is not among ten proposals</span>'
    ranks = list(range(1, min(SHOWN, len(example.proposals)) + 1))
    if example.rank is not None and example.rank > SHOWN:
        ranks[-1] = example.rank
    cards = [_structure(example.truth, "true structure")]
    cards += [_proposal(rank, example.proposals[rank - 1]) for rank in ranks]
    return _article(f"{escape(example.id)} {told}", cards)


def _article(head: str, cards: Sequence[str]) -> str:
    return f'<article class="example"><h4>{head}</h4><div class="row">{"".join(cards)}</div></article>'


def _proposal(rank: int, one: Proposal) -> str:
    similarity = "" if one.similarity is None or one.right else f", similarity {one.similarity:.2f}"
    kind = "right" if one.right else "wrong"
    return _structure(one.smiles, f"{rank}. {kind}", f"score {one.score:.3f}{similarity}", kind)


def _structure(smiles: str, title: str, remark: str = "", kind: str = "") -> str:
    drawn = structure_svg(smiles, 220, 150) or '<div class="none">no molecule</div>'
    coloured = f' class="is-{kind}"' if kind else ""
    told = f'<span class="pale">{escape(remark)}</span>' if remark else ""
    return (
        f'<div class="structure {kind}">{drawn}<b{coloured}>{escape(title)}</b>{told}'
        f'<span class="smiles">{escape(smiles)}</span></div>'
    )
