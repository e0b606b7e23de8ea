"""What heads whose answers name places share: text is learnt, generated, read as points and scored.

Source: Molmo2 sheet A7.4 (greedy decoding, lengths of answers), A8 (format), A9 (scores).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, get_args

from torch import Tensor
from torchmetrics import MetricCollection

from zoo.batch import Batch, Turn
from zoo.constraint import GrammarConstraint
from zoo.head import Head, Prediction, Session, TrunkOutputs, text_loss
from zoo.heads.place_questions import Wording
from zoo.metrics import MeanScores, Scored, Tallies, every_object_points, nearest_object_points
from zoo.metrics.scored import Tally
from zoo.point_grammar import PointGrammar
from zoo.points import TAGS, Point, PointAnswer, PointQuestion, Reason, first_and_last, parse

BlindPointer = Callable[..., list[Point]]

BLIND_POINTERS: Mapping[str, BlindPointer] = {
    "nearest_object": nearest_object_points,
    "every_object": every_object_points,
}
"""Controls of answers with points (docs/metrics.md)."""


class PlaceHead(Head):
    """A head whose answers are points, tracks or numbers of things.

    Class attributes:
        wordings: How it asks.
        scores: Names of what an answer is scored by.

    Args:
        max_new_tokens: Longest answer, tokens.
        constrained: Generate only what can be read: times of shown frames, coordinates inside the picture, ids that
            grow. An answer is closed in time for `max_new_tokens`.
        z_loss: Weight of the squared log normaliser of the logits.
    """

    wordings: ClassVar[tuple[Wording, ...]]
    scores: ClassVar[tuple[str, ...]]

    def __init__(self, *, max_new_tokens: int, constrained: bool, z_loss: float) -> None:
        super().__init__()
        self.max_new_tokens = max_new_tokens
        self.constrained = constrained
        self.z_loss = z_loss

    def reads(self) -> frozenset[str]:
        return frozenset({"npz"})

    def claims(self, prompt: str) -> bool:
        openings = (opening for wording in self.wordings for opening in wording.openings)
        return any(prompt.lower().startswith(opening.lower()) for opening in openings if opening)

    @contextmanager
    def constrain(self) -> Iterator[None]:
        before, self.constrained = self.constrained, True
        try:
            yield
        finally:
            self.constrained = before

    def parse(self, text: str) -> str:
        return text.strip()

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        return text_loss(outputs, batch, head=self.name, z_loss=self.z_loss)

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        questions = [question_of(turn) for turn in session.turns]
        constraint = None
        if self.constrained:
            constraint = GrammarConstraint(
                [grammar_of(question) for question in questions],
                tokenizer=session.tokenizer,
                vocab_size=session.logits.shape[1],
                max_new_tokens=self.max_new_tokens,
            )
        answers = session.generate(max_new_tokens=self.max_new_tokens, constraint=constraint)
        return [
            self._prediction(batch, turn, question, self.parse(session.decode(ids)))
            for turn, question, ids in zip(session.turns, questions, answers, strict=True)
        ]

    def blind_answers(self, batch: Batch) -> dict[str, list[Prediction]]:
        """What two pointers that see masks and read no question score, where answers are scored by masks."""
        turns = [turn for turn in batch.turns if turn.message.head == self.name and turn.message.is_scored]
        asked = [(turn, question_of(turn)) for turn in turns]
        return {
            name: [
                self._prediction(batch, turn, question, "", blind_answer(question, pointer))
                for turn, question in asked
                if question.masks is not None
            ]
            for name, pointer in BLIND_POINTERS.items()
        }

    def _prediction(
        self, batch: Batch, turn: Turn, question: PointQuestion, text: str, said: PointAnswer | None = None
    ) -> Prediction:
        """An answer with its scores.

        Args:
            batch: In which it was asked.
            turn: Where it was asked.
            question: What it is about.
            text: What was written.
            said: What that means; None: as it is read.
        """
        scored, dropped = Scored({}, {}), {}
        if question.points is not None:
            if said is None:
                said = parse(text, question.canvas)
                dropped = dropped_tallies(said)
            scored = self.scored(said, question, partial(batch.pixels_of, turn.example))
        return Prediction(
            key=batch.keys[turn.example],
            head=self.name,
            family=turn.message.family,
            prompt=turn.message.prompt,
            truth=turn.message.answer,
            answer=text,
            correct=None,
            temporal=turn.message.temporal,
            scores=scored.scores,
            tallies=scored.tallies | dropped,
        )

    @abstractmethod
    def scored(self, said: PointAnswer, question: PointQuestion, pixels: Callable[[], Tensor] | None = None) -> Scored:
        """How good an answer to a question with a known truth is.

        Args:
            said: The answer.
            question: What it is about.
            pixels: Gives what was looked at, (frames, 3, height, width) uint8, for scores that need it.
        """

    def metrics(self) -> MetricCollection:
        return MetricCollection({"scores": MeanScores(self.scores), "tallies": Tallies()})


def dropped_tallies(said: PointAnswer) -> dict[str, Tally]:
    """Whether anything of an answer could not be read, for each reason: over a data set, the share of such answers."""
    return {f"dropped/{reason}": (float(reason in said.dropped), 1.0) for reason in get_args(Reason)}


def question_of(turn: Turn) -> PointQuestion:
    """What a turn asks places of.

    Raises:
        ValueError: the message does not say.
    """
    if turn.message.places is None:
        raise ValueError(f"message {turn.message.prompt!r} of head {turn.message.head} has no `places` to be read by")
    return turn.message.places


def blind_answer(question: PointQuestion, pointer: BlindPointer) -> PointAnswer:
    """What a pointer says that sees the masks of a question and reads nothing else of it."""
    points = pointer(question.masks, each_frame=TAGS[question.kind] == "tracks")
    named = [point for point in points if point.key in question.keys]
    return PointAnswer(points=tuple(first_and_last(named) if question.kind == "ground" else named))


def grammar_of(question: PointQuestion) -> PointGrammar:
    """What can be read as an answer to a question."""
    return PointGrammar(
        tag=TAGS[question.kind],
        keys=unique_texts(question),
        styles=("point", "point_count", "count_point", "count") if question.style is None else (question.style,),
    )


def unique_texts(question: PointQuestion) -> tuple[str, ...]:
    """The frames or images that an answer may name, as written; of two frames with one name the first."""
    texts: Sequence[str] = [question.canvas.key_text(key) for key in question.keys]
    return tuple(dict.fromkeys(texts))
