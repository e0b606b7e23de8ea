"""How the next token of an answer is chosen from its logits.

Source: Molmo2 sheet A7.4: greedy for benchmarks; for captions and open questions temperature 0.7, top-p 0.95 and a
frequency penalty of 0.1, which is vLLM's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import torch
from torch import Tensor

from zoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Settings of a head's answers.

    Args:
        temperature: 0 takes the largest logit; above, ids are drawn.
        top_p: Draw from the smallest set of ids whose probability reaches this share, in (0, 1].
        frequency_penalty: Taken off an id's logit for every time that it stands in the answer already.
    Raises:
        ConfigError: a value outside of its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.temperature < math.inf and 0 < self.top_p <= 1 and math.isfinite(self.frequency_penalty)):
            raise ConfigError(
                f"decoding: temperature {self.temperature}, top_p {self.top_p} and frequency_penalty "
                f"{self.frequency_penalty}; expected 0 or more, above 0 up to 1, and a number"
            )

    def generator(self, keys: Sequence[str], device: torch.device) -> torch.Generator | None:
        """Randomness for the answers about some samples, so that they and training draw nothing from one another.

        Args:
            keys: Of the samples.
            device: Of the logits.
        """
        if self.temperature == 0:
            return None
        return torch.Generator(device).manual_seed(crc32("\n".join(keys).encode()))

    def next_ids(
        self, logits: Tensor, answers: Sequence[Sequence[int]], generator: torch.Generator | None = None
    ) -> Tensor:
        """Choose one id a row.

        Args:
            logits: (rows, vocabulary); -inf where an id must not come.
            answers: Ids that each row has so far.
            generator: Source of randomness; None takes torch's own.
        Returns:
            (rows,) int64.
        """
        if self.frequency_penalty:
            logits = logits.float()  # in bfloat16 a tenth is lost beside a logit of 40
            logits = logits - self.frequency_penalty * _counts(answers, logits)
        if self.temperature == 0:
            return logits.argmax(-1)
        probabilities = (logits.float() / self.temperature).softmax(-1)
        if self.top_p < 1:
            ordered, order = probabilities.sort(dim=-1, descending=True)
            outside = ordered.cumsum(-1) - ordered >= self.top_p  # an id stays while the mass before it is short of it
            probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered.masked_fill(outside, 0.0))
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


GREEDY = Decoding()


def _counts(answers: Sequence[Sequence[int]], logits: Tensor) -> Tensor:
    """(rows, vocabulary): how often each id stands in each answer."""
    counts = torch.zeros_like(logits)
    for row, ids in enumerate(answers):
        taken = torch.tensor(ids, dtype=torch.int64, device=logits.device)
        counts[row].index_add_(0, taken, torch.ones(len(ids), dtype=logits.dtype, device=logits.device))
    return counts
