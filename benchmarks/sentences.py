"""Sentences per second through a frozen encoder, from text to vectors: assay, transformers, and a plain loop.

All read the same sentences with the same weights (all-MiniLM-L6-v2, which a package brings) and split them into the
same tokens. assay reads them in batches of like length; transformers and the loop by hand in the order they come in,
padded to the longest of each batch, as their documentation has it; sentence-transformers sorts them by length as well.
One process, turns A B A B, the same number of threads for all.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
import polars as pl
import torch
from _measure import add_data, heading, interleave, one_thread, parser, table, verdict

from assay.data.texts.frozen import FrozenText
from assay.models.weights import MINILM, OpenedText, open_text_encoder, packaged_text_encoder

WINDOW = 128
Read = Callable[[], np.ndarray]


def assay_reads(opened: OpenedText, texts: list[str], threads: int) -> Read:
    def read() -> np.ndarray:
        # Made anew each time: what was read once is remembered.
        frozen = FrozenText(opened.encoder, opened.encoder.width, opened.tokenizer, window=WINDOW, threads=threads)
        return frozen.vectors(opened.tokenizer.windows(texts, WINDOW).ids)

    return read


def a_loop_reads(opened: OpenedText, texts: list[str], batch: int) -> Read:
    """The encoder of assay, asked as most would ask one."""

    def read() -> np.ndarray:
        found = []
        for at in range(0, len(texts), batch):
            ids = opened.tokenizer.windows(texts[at : at + batch], WINDOW).ids
            with torch.inference_mode():
                found.append(opened.encoder(torch.from_numpy(ids)).numpy())
        return np.concatenate(found)

    return read


def transformers_read(texts: list[str], batch: int) -> Read:
    """As the model's own page shows it: tokens, states, their mean, length one."""
    from transformers import AutoModel, AutoTokenizer

    folder = str(packaged_text_encoder())
    splitter, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def read() -> np.ndarray:
        found = []
        for at in range(0, len(texts), batch):
            split = splitter(
                texts[at : at + batch], padding=True, truncation=True, max_length=WINDOW, return_tensors="pt"
            )
            with torch.inference_mode():
                states = model(**split).last_hidden_state
            there = split["attention_mask"].unsqueeze(2).to(states.dtype)
            mean = (states * there).sum(1) / there.sum(1).clamp(min=1e-9)
            found.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.concatenate(found)

    return read


def sentence_transformers_read(texts: list[str], batch: int) -> Read:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(packaged_text_encoder()), device="cpu")
    model.max_seq_length = WINDOW
    return lambda: model.encode(texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--sentences", type=int, default=1821)
    arguments.add_argument("--batch", type=int, default=32, help="sentences of a batch of the others")
    chosen = arguments.parse_args()
    one_thread()
    torch.set_num_threads(1)
    heading("Sentences per second", small=chosen.small)
    path = chosen.data / "text" / "sst2_test.csv.gz"
    if packaged_text_encoder() is None:
        raise SystemExit("The encoder is not installed: pip install 'assay[text]'.")
    if not path.is_file():
        raise SystemExit(f"There is no {path}: name the folder of the data sets with --data DIR.")
    texts = pl.read_csv(path)["text"].head(40 if chosen.small else chosen.sentences).to_list()
    opened = open_text_encoder(MINILM)
    calls = {
        "assay": assay_reads(opened, texts, threads=1),
        "the same encoder in a plain loop": a_loop_reads(opened, texts, chosen.batch),
    }
    for name, package, make in (
        ("transformers", "transformers", transformers_read),
        ("sentence-transformers", "sentence_transformers", sentence_transformers_read),
    ):
        if importlib.util.find_spec(package) is None:
            print(f"{name} is not installed here, and is left out: compare with the plain loop.\n")
        else:
            calls[name] = make(texts, chosen.batch)
    vectors = {name: call() for name, call in calls.items()}
    times = interleave(calls, repeats=1 if chosen.small else 5, seconds=1.0 if chosen.small else 10.0)
    own = times["assay"]
    rows = [
        (name, f"{len(texts) / each.cpu:,.0f}", f"{len(texts) / each.wall:,.0f}", f"{each.cpu / own.cpu:.2f}",
         f"{np.abs(vectors[name] - vectors['assay']).max():.1e}")
        for name, each in times.items()
    ]  # fmt: skip
    table(("reader", "a CPU-second", "a second", "assay is faster by", "largest difference"), rows)
    slowest = min(each.cpu for name, each in times.items() if name != "assay")
    print(f"{len(texts):,} sentences, one thread. At least as fast as each of them: {verdict(own.cpu <= slowest)}.")


if __name__ == "__main__":
    main()
