"""Train the `words` tokenizer's vocabulary on the questions, answers and statements of a shard folder.

Run: python -m zoo.backbones.words_vocabulary DATASET_FOLDER, which writes words_tokenizer.json beside this file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from zoo.backbones.place_tokens import TEXT_PATTERN
from zoo.backbones.tokenizers import IM_END, IM_START
from zoo.shards.reader import read_records

VOCAB_SIZE = 512


def texts(folder: Path) -> Iterator[str]:
    """Every question, answer, statement and description of the train split, and times as prompts write them."""
    for record in read_records(folder, "train"):
        for annotation in record["annotations"]:
            yield annotation["question"]
            yield annotation["answer"]
        yield ". ".join(record["statements"])
        yield from (description["text"] for description in record["descriptions"])
    for tenths in range(100):
        yield f" {tenths / 10:.1f} "


def train(folder: Path) -> Tokenizer:
    """A byte-level BPE whose digits stay single, so that numbers are read alike everywhere."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(TEXT_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[IM_START, IM_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(folder), trainer)
    return tokenizer


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    train(Path(sys.argv[1])).save(str(Path(__file__).with_name("words_tokenizer.json")))
