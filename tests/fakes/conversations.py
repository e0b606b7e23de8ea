"""Message trees over clips of random pixels, for the tests of packs."""

import numpy as np

from zoo.head import Message

QUESTIONS = ["What colour is the cube?", "How many objects are there?", "Where?"]
ANSWERS = ["red", "small ball", "3", "no", "the large blue cube is left of the ball"]

TREES = [(3, 3), (1, 1), (2, 5), (4, 2), (2, 1), (1, 4), (3, 7)]
"""(frames, number of branches); a tree of one frame is an image."""


def examples_of(processor, trees=TREES):
    """One example a tree."""
    generator = np.random.default_rng(11)
    made = []
    for number, (frames, branches) in enumerate(trees):
        messages = [
            Message(
                head="qa",
                prompt=QUESTIONS[place % 3],
                answer=ANSWERS[int(generator.integers(len(ANSWERS)))],
                family="any",
                weight=1.0 + place % 2,
            )
            for place in range(branches)
        ]
        made.append(
            processor.example(
                key=f"clip{number}",
                frames=generator.integers(0, 256, (frames, 40, 56, 3), dtype=np.uint8),
                times_s=np.arange(frames) / 2,
                messages=messages,
                is_video=frames > 1,
            )
        )
    return made
