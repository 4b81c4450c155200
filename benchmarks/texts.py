"""Tokens that a spectrum takes in each form of text, and what they cost.

    python benchmarks/texts.py MODEL SPECTRA.parquet                 # tokens a spectrum
    python benchmarks/texts.py MODEL SPECTRA.parquet --layers 8      # and spectra a second

MODEL is the folder of a language model, as `mmspec unpack` makes it. Spectra are drawn from the file; the
tokens of the forms of plain words are those of the model's tokenizer, and in `summed` positions are counted.
With --layers the first layers of the model read a batch of spectra, in float32 and in bfloat16, forward alone
and with a backward pass that trains adapters; the time is processor time of one thread.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.textualize import Form, TextSettings, new_tokens
from mmspec_ds.systems.retrieval.language_model import LanguageModel
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings
from mmspec_ds.systems.retrieval.text_encoding import TextEncoding


def drawn(file: Path, count: int, seed: int) -> list[Record]:
    """A sample of the records of a file."""
    from mmspec_ds.library.entries import read_entries
    from mmspec_ds.library.entry import Entry

    records = [one.record for one in read_entries([file]) if isinstance(one, Entry)]
    chosen = np.random.default_rng(seed).permutation(len(records))[:count]
    return [records[at] for at in sorted(chosen)]


def processor_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The shortest processor time of a call."""
    work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def speeds(settings: LanguageModelSettings, records: list[Record], repeats: int) -> Iterator[tuple[str, float]]:
    """Spectra a second of processor time, by what is done."""
    encoding = TextEncoding(settings)
    batch = encoding.inputs(encoding.encode(records), np.arange(len(records)))
    for bfloat16 in (False, True):
        model = LanguageModel(settings.model_copy(update={"bfloat16": bfloat16}))
        name = "bfloat16" if bfloat16 else "float32"

        def forward(model: LanguageModel = model) -> None:
            with torch.inference_mode():
                model.eval()(batch)

        def training(model: LanguageModel = model) -> None:
            vectors = model.train()(batch)
            (vectors @ vectors.detach().roll(1, 0).T).sum().backward()
            model.zero_grad()

        yield f"{name} forward", len(records) / processor_seconds(forward, repeats)
        yield f"{name} training", len(records) / processor_seconds(training, repeats)


def main() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of a language model")
    parser.add_argument("spectra", type=Path, help="a file of mass spectra")
    parser.add_argument("--spectra-drawn", type=int, default=2000)
    parser.add_argument("--peaks", type=int, default=30)
    parser.add_argument("--layers", type=int, help="measure the speed of so many layers")
    parser.add_argument("--forms", nargs="*", choices=get_args(Form), default=get_args(Form))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = drawn(options.spectra, options.spectra_drawn, 0)
    print(f"{len(records)} spectra of {options.spectra.name}, at most {options.peaks} peaks")
    for form in options.forms:
        text = TextSettings(form=form, max_peaks=options.peaks)
        settings = LanguageModelSettings(base=options.model, text=text, layers=options.layers, max_tokens=512)
        lengths = TextEncoding(settings).encode(records).lengths
        print(
            f"{form:10} {lengths.mean():7.1f} tokens a spectrum, median {np.median(lengths):5.0f}, most"
            f" {lengths.max():4}, new tokens {len(new_tokens(text)):5}",
            flush=True,
        )
        if options.layers:
            for what, rate in speeds(settings, list(islice(records, options.batch)), options.repeats):
                print(f"           {what:18} {rate:7.2f} spectra a processor second", flush=True)


if __name__ == "__main__":
    main()
