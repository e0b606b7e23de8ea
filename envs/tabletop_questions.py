"""From facts to questions with short answers, to true statements, and to a choice of questions that no text gives away.

`candidates` lists every question whose answer is clear; `QuestionBalancer` picks among them so that, text by text, all
answers of a shard are about equally frequent. Nothing here simulates or draws.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from zoo.envs.tabletop_facts import ClipFacts
from zoo.envs.tabletop_scene import COLOURS, DIRECTIONS, SHAPES, SIZES_M

COLOUR_NAMES = tuple(COLOURS)
SIZE_NAMES = tuple(SIZES_M)
YES_NO = ("yes", "no")
SIDES = ("left", "right", "front", "behind")
VIEWS = ("entered", "left", "stayed")
PLACES = ("named first", "named second")
FEW = ("0", "1", "2", "3")
BALANCE_SLACK = 2  # by how much an answer of a text may lead the rarest one
COLOUR_SLACK = 8  # the same for colours: they are exchangeable in every scene, so only chance unbalances them
MAX_PAIRS_PER_TEMPLATE = 3  # pairs are many; a clip of six objects would drown in them


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question with its one answer.

    `group` names the questions whose answers are balanced together: by default those of the same text, for texts that
    are too many to fill one by one (pairs of colours) a whole template. `outcome` is what is balanced: the answer, or,
    where the answers are names from the text, the place of the right one.
    """

    family: str
    template: str
    text: str
    answer: str
    choices: tuple[str, ...]
    temporal: bool = False
    group: str = ""
    outcome: str = ""
    outcomes: tuple[str, ...] = ()

    def annotation(self) -> dict[str, object]:
        """The record's form of it."""
        return {
            "family": self.family,
            "question": self.text,
            "answer": self.answer,
            "temporal": self.temporal,
            "choices": list(self.choices),
        }


def candidates(facts: ClipFacts, rng: np.random.Generator, *, is_still: bool = False) -> list[Question]:
    """Every clear question about a clip.

    Args:
        facts: What the clip shows.
        rng: Decides the order in which two objects are named.
        is_still: The clip is one picture, so nothing is asked about motion.
    """
    families = [family for name, family in FAMILIES.items() if name in STILL_FAMILIES or not is_still]
    return [question for family in families for question in family(facts, rng)]


def count_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """How many objects, of a shape, of a size; every object that the clip ever shows counts."""
    objects = facts.objects
    total = tuple(str(number) for number in range(1, 7))
    yield Question(
        family="count", template="total", text="How many objects are there?", answer=str(len(objects)), choices=total
    )
    for template, values in (("shape", SHAPES), ("size", SIZE_NAMES)):
        for value in values:
            number = str(sum(getattr(item, template) == value for item in objects))
            if number in FEW:
                thing = f"{value}s" if template == "shape" else f"{value} objects"
                text = f"How many {thing} are there?"
                yield Question(family="count", template=f"count_{template}", text=text, answer=number, choices=FEW)


def attribute_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """Shape and size by colour, colour by what is unique."""
    objects = facts.objects
    for item in objects:
        text = f"What shape is the {item.colour} object?"
        yield Question(family="attribute", template="shape", text=text, answer=item.shape, choices=SHAPES)
        text = f"What size is the {item.colour} object?"
        yield Question(family="attribute", template="size", text=text, answer=item.size, choices=SIZE_NAMES)
    names = [(f"{item.shape}", item.colour) for item in objects]
    names += [(f"{item.size} object", item.colour) for item in objects]
    names += [(f"{item.size} {item.shape}", item.colour) for item in objects]
    for name, colour in names:
        if sum(other == name for other, _ in names) == 1:
            yield _colour_question("attribute", "colour", f"What colour is the only {name}?", colour)


def relation_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """Where things are in the picture, where that holds from the first frame to the last."""
    objects = facts.objects
    everything = range(len(objects))
    extremes = (
        ("furthest left", facts.right_of, False),
        ("furthest right", facts.right_of, True),
        ("closest to the camera", facts.behind, False),
        ("farthest from the camera", facts.behind, True),
    )
    for name, order, wanted in extremes if len(objects) > 1 else ():
        for index in everything:
            if all(order.get((index, other)) is wanted for other in everything if other != index):
                yield _colour_question(
                    "relation", "extreme", f"What colour is the object {name}?", objects[index].colour
                )
    for (first, second), side in facts.sides.items():
        text = f"Where is the {objects[first].colour} object, seen from the {objects[second].colour} object?"
        yield Question(family="relation", template="side", text=text, answer=side, choices=SIDES, group="side")
    for name, order, wanted in (("further left", facts.right_of, False), ("closer to the camera", facts.behind, False)):
        for (first, second), holds in order.items():
            if rng.random() < 0.5:  # each pair comes twice, once per order of naming
                continue
            pair = (objects[first].colour, objects[second].colour)
            text = f"Which object is {name}, the {pair[0]} one or the {pair[1]} one?"
            place = 0 if holds is wanted else 1
            yield Question(
                family="relation",
                template="pair",
                text=text,
                answer=pair[place],
                choices=pair,
                group=f"pair {name}",
                outcome=PLACES[place],
                outcomes=PLACES,
            )


def moved_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """What moved at all, in whatever order."""
    objects, movers = facts.objects, facts.movers
    if str(len(movers)) in FEW:
        yield Question(
            family="moved",
            template="how_many",
            text="How many objects moved?",
            answer=str(len(movers)),
            choices=FEW,
        )
    if len(movers) == 1:
        yield _colour_question("moved", "which", "What colour is the object that moved?", objects[movers[0]].colour)
    still = [item for item in objects if not item.moved]
    if len(still) == 1 and len(objects) > 1:
        yield _colour_question("moved", "which", "What colour is the object that did not move?", still[0].colour)
    for item in objects:
        text = f"Did the {item.colour} object move?"
        yield Question(family="moved", template="did", text=text, answer=_yes(item.moved), choices=YES_NO)


def order_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """What began to move when; needs the order of the frames."""
    objects, movers = facts.objects, facts.movers
    for word, rank in facts.ranks.items():
        colour = objects[movers[rank]].colour
        text = f"What colour is the object that moved {word}?"
        yield _colour_question("order", "which", text, colour, temporal=True)


def direction_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """Where a moving object went; backwards playing would turn the answer round."""
    for item in facts.objects:
        if item.direction is not None:
            text = f"In which direction did the {item.colour} object move?"
            yield Question(
                family="direction",
                template="direction",
                text=text,
                answer=item.direction,
                choices=DIRECTIONS,
                temporal=True,
                group="direction",
            )


def view_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """What entered or left the picture; entering played backwards is leaving."""
    for item in facts.objects:
        text = f"Has the {item.colour} object entered, left or stayed in view?"
        yield Question(
            family="view", template="fate", text=text, answer=item.view, choices=VIEWS, temporal=True, group="fate"
        )
    for fate, text in (
        ("left", "What colour is the object that left the view?"),
        ("entered", "What colour is the object that entered the view?"),
    ):
        colours = [item.colour for item in facts.objects if item.view == fate]
        others = [item.view for item in facts.objects].count("left" if fate == "entered" else "entered")
        if len(colours) == 1:
            # With frames shuffled, leaving looks like entering: order matters only where both happened.
            yield _colour_question("view", "which", text, colours[0], temporal=others > 0)


def touch_questions(facts: ClipFacts, rng: np.random.Generator) -> Iterator[Question]:
    """What touched what; asked only where an object moved, so that stillness does not answer it."""
    objects = facts.objects
    everything = range(len(objects))
    for index, item in enumerate(objects):
        pairs = [(min(index, other), max(index, other)) for other in everything if other != index]
        partners = [first + second - index for first, second in pairs if (first, second) in facts.touched]
        is_clear = all(pair in facts.touched or pair in facts.apart for pair in pairs)
        if item.moved and len(partners) == 1 and is_clear and len(objects) > 2:
            text = f"What colour is the object that the {item.colour} object touched?"
            yield _colour_question("touch", "which", text, objects[partners[0]].colour)
    for pair in sorted(facts.touched | facts.apart):
        if any(objects[index].moved for index in pair):
            first, second = (objects[int(index)].colour for index in rng.permutation(pair))
            yield Question(
                family="touch",
                template="did",
                text=f"Did the {first} object touch the {second} object?",
                answer=_yes(pair in facts.touched),
                choices=YES_NO,
                group="touch",
            )


FAMILIES: dict[str, Callable[[ClipFacts, np.random.Generator], Iterator[Question]]] = {
    "count": count_questions,
    "attribute": attribute_questions,
    "relation": relation_questions,
    "moved": moved_questions,
    "order": order_questions,
    "direction": direction_questions,
    "view": view_questions,
    "touch": touch_questions,
}

STILL_FAMILIES = frozenset({"count", "attribute", "relation"})
"""What one picture answers."""


class QuestionBalancer:
    """Pick questions so that within each group no answer runs ahead of the rarest one; keeps its counts over a shard.

    Args:
        per_clip: Most questions to pick for one clip.
    """

    def __init__(self, *, per_clip: int) -> None:
        self.per_clip = per_clip
        self._counts: dict[str, dict[str, int]] = {}

    def pick(self, questions: list[Question], rng: np.random.Generator) -> list[Question]:
        """Choose for one clip, going round the templates so that rare kinds come first.

        Args:
            questions: Candidates of the clip.
            rng: Order of templates and of questions within them.
        """
        rows: dict[tuple[str, str], list[Question]] = {}
        for index in rng.permutation(len(questions)):
            question = questions[int(index)]
            rows.setdefault((question.family, question.template), []).append(question)
        order = sorted(rows, key=lambda row: len(rows[row]))
        picked: list[Question] = []
        pairs: dict[tuple[str, str], int] = {}
        while rows and len(picked) < self.per_clip:
            for row in order:
                if row not in rows:
                    continue
                chosen = self._next(rows[row])
                if chosen is None or (chosen.group and pairs.get(row, 0) >= MAX_PAIRS_PER_TEMPLATE):
                    del rows[row]
                elif len(picked) < self.per_clip:
                    self._count(chosen)
                    pairs[row] = pairs.get(row, 0) + 1
                    picked.append(chosen)
        return picked

    def _next(self, row: list[Question]) -> Question | None:
        while row:
            question = row.pop()
            group, outcome, outcomes = _balance(question)
            counts = self._counts.setdefault(group, dict.fromkeys(outcomes, 0))
            slack = COLOUR_SLACK if outcomes is COLOUR_NAMES else BALANCE_SLACK
            if counts[outcome] - min(counts.values()) < slack:
                return question
        return None

    def _count(self, question: Question) -> None:
        group, outcome, _ = _balance(question)
        self._counts[group][outcome] += 1


def _balance(question: Question) -> tuple[str, str, tuple[str, ...]]:
    """Group, outcome and possible outcomes of a question."""
    group = question.group or question.text
    return group, question.outcome or question.answer, question.outcomes or question.choices


def statements(facts: ClipFacts, *, is_still: bool = False) -> list[str]:
    """True sentences about a clip in one fixed grammar, a stable order.

    Args:
        facts: What the clip shows.
        is_still: The clip is one picture, so nothing is said about motion.
    """
    objects, movers = facts.objects, facts.movers
    number = len(objects)
    lines = [f"there {'is' if number == 1 else 'are'} {number} object{'' if number == 1 else 's'}"]
    lines += [f"the {item.colour} object is a {item.size} {item.shape}" for item in objects]
    words = {"left": "left of", "right": "right of", "front": "in front of", "behind": "behind"}
    for (first, second), side in facts.sides.items():
        lines.append(f"the {objects[first].colour} object is {words[side]} the {objects[second].colour} object")
    if is_still:
        return lines
    lines += [f"the {item.colour} object {'moved' if item.moved else 'did not move'}" for item in objects]
    ways = {
        "left": "moved to the left",
        "right": "moved to the right",
        "toward": "moved toward the camera",
        "away": "moved away from the camera",
    }
    lines += [f"the {item.colour} object {ways[item.direction]}" for item in objects if item.direction is not None]
    lines += [f"the {objects[movers[rank]].colour} object moved {word}" for word, rank in facts.ranks.items()]
    for first, second in sorted(facts.touched):
        lines.append(f"the {objects[first].colour} object touched the {objects[second].colour} object")
    lines += [f"the {item.colour} object {item.view} the view" for item in objects if item.view != "stayed"]
    return lines


def descriptions(facts: ClipFacts, *, is_still: bool = False) -> list[tuple[str, str]]:
    """Requests and their whole answers: what is there, and what it did, object by object in the order of the colours'
    names.

    One fixed order makes the text follow from the clip, so that every word of it can be learnt from.

    Args:
        facts: What the clip shows.
        is_still: The clip is one picture, so only what is there is described.
    """
    order = sorted(range(len(facts.objects)), key=lambda index: facts.objects[index].colour)
    things = [facts.objects[index] for index in order]
    looks = ("Describe the objects.", ", ".join(f"{item.colour} {item.size} {item.shape}" for item in things))
    if is_still:
        return [looks]
    did = deeds(facts)
    happened = ", ".join(f"{facts.objects[index].colour} {did[index]}" for index in order)
    return [looks, ("Describe what happened.", happened)]


def deeds(facts: ClipFacts) -> list[str]:
    """What each object did, in the objects' order: "moved left first"."""
    ranks = {facts.movers[rank]: word for word, rank in facts.ranks.items()}
    texts = []
    for index, item in enumerate(facts.objects):
        words = ["moved" if item.moved else "stood still"]
        words += [item.direction] if item.direction is not None else []
        words += [ranks[index]] if index in ranks else []
        words += [f"{item.view} the view"] if item.view != "stayed" else []
        texts.append(" ".join(words))
    return texts


def _colour_question(family: str, template: str, text: str, colour: str, *, temporal: bool = False) -> Question:
    return Question(family=family, template=template, text=text, answer=colour, choices=COLOUR_NAMES, temporal=temporal)


def _yes(is_true: bool) -> str:
    return "yes" if is_true else "no"
