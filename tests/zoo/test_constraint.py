"""Constrained answers are read without loss, whatever the logits and whatever the tokenizer."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from zoo.backbones.tokenizers import FastTokenizer, words
from zoo.constraint import GrammarConstraint, Vocabulary
from zoo.errors import ConfigError
from zoo.point_grammar import MAX_LABEL, PointGrammar, State
from zoo.points import STYLES, Canvas, parse

CLIP = Canvas(sizes_px=((200, 100),), times_s=(0.0, 0.5, 1.0, 2.375))
KEYS = tuple(map(CLIP.key_text, CLIP.keys))


def merging() -> FastTokenizer:
    """A vocabulary whose tokens reach across fields: whole triples, ends of tags, several digits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^\n]+|\n+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    texts = [
        f'<{name} coords="{key} 1 {x:03d} {x + 9:03d} 2 {x + 5:03d} 100;1.0 1 000 1000">cats</{name}> shows a total'
        for name in ("points", "tracks")
        for key in KEYS
        for x in range(0, 900, 7)
    ]
    tokenizer.train_from_iterator(
        [*texts, "There are none.", "ünï日本"],
        trainers.BpeTrainer(
            vocab_size=900,
            special_tokens=["<|end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return FastTokenizer(tokenizer=tokenizer, bos=None, eos="<|end|>", prompt_template="{prompt}")


TOKENIZERS = {"words": words(), "places": words(places=True), "merging": merging()}


def generate(tokenizer, grammar, *, max_new_tokens, seed, likes=""):
    """An answer drawn from random logits, which like some characters."""
    constraint = GrammarConstraint(
        [grammar], tokenizer=tokenizer, vocab_size=tokenizer.vocab_size + 5, max_new_tokens=max_new_tokens
    )
    generator = torch.Generator().manual_seed(seed)
    liked = torch.tensor([any(c in likes for c in tokenizer.decode([i])) for i in range(tokenizer.vocab_size)])
    ids: list[int] = []
    while len(ids) < max_new_tokens:
        mask = constraint([ids], [0])[0]
        assert not mask[tokenizer.vocab_size :].any()
        logits = torch.randn(len(mask), generator=generator)
        logits[: tokenizer.vocab_size] += 4.0 * liked
        token = int(logits.masked_fill(~mask, -torch.inf).argmax())
        if token == tokenizer.eos_id:
            break
        ids.append(token)
    return tokenizer.decode(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tag=st.sampled_from(["points", "tracks"]),
    styles=st.sampled_from([STYLES, *((style,) for style in STYLES)]),
    likes=st.sampled_from(["", "0123456789", "<", "< ", "abcde", " ", ";"]),
    keys=st.lists(st.sampled_from(KEYS), unique=True).map(sorted).map(tuple),
    max_new_tokens=st.integers(15, 250),
)
def test_every_answer_is_read_without_loss(name, seed, tag, styles, likes, keys, max_new_tokens):
    grammar = PointGrammar(tag=tag, keys=keys, styles=styles)
    text = generate(TOKENIZERS[name], grammar, max_new_tokens=max_new_tokens, seed=seed, likes=likes)
    answer = parse(text, CLIP)
    assert answer.dropped == {}
    assert answer.count is not None
    written = [CLIP.key_text(point.key) for point in answer.points]
    assert set(written) <= set(keys)
    assert written == sorted(written)
    if "<" in text:
        assert answer.points
        assert re.search(f">[^<>]*[^<> ][^<> ]*[^<>]*</{tag}>", text)
        if tag == "points":
            assert [point.object_id for point in answer.points] == list(range(1, len(answer.points) + 1))
        if text.startswith("Counting"):
            assert answer.count == len({point.object_id for point in answer.points})
    elif styles == ("count",):
        assert re.fullmatch("0|[1-9][0-9]{0,3}", text)
    else:
        assert text == "There are none." or ("count" in styles and text.isdigit())


@pytest.mark.parametrize("name", TOKENIZERS)
def test_allowed_tokens_are_those_whose_characters_may_come(name):
    """The quick look-up against trying every token."""
    tokenizer = TOKENIZERS[name]
    vocabulary = Vocabulary(tokenizer)
    grammar = PointGrammar(tag="tracks", keys=KEYS, styles=STYLES)
    text = 'Counting the <tracks coords="0.0 1 100 1000 2 000 999;1.0 1 500 500">a b</tracks> shows a total of 2.'
    state = grammar.start
    for character in text:
        assert vocabulary.allowed(grammar, state).ids or grammar.takes_free_text(state)
        expected = set()
        for token, piece in enumerate(vocabulary.pieces):
            after = state if piece and "\ufffd" not in piece else None
            for letter in piece:
                after = None if after is None else grammar.step(after, letter)
            if after is not None:
                expected.add(token)
        allowed = vocabulary.allowed(grammar, state)
        free = {*vocabulary.free_ids.tolist(), *vocabulary.blank_ids.tolist()} if allowed.has_free_text else set()
        assert set(allowed.ids) | free == expected
        state = grammar.step(state, character)
    assert grammar.is_final(state)


def test_labels_end():
    grammar = PointGrammar(tag="points", keys=("1",), styles=("point",))
    state = State(phase="label", text="x", key=0, last=MAX_LABEL, seen=1, style="point")
    assert not grammar.takes_free_text(state)
    assert grammar.next_characters(state) == "<"


@given(
    tag=st.sampled_from(["points", "tracks"]),
    styles=st.lists(st.sampled_from(STYLES), min_size=1, unique=True).map(tuple),
    data=st.data(),
)
def test_completions_are_as_short_as_promised(tag, styles, data):
    grammar = PointGrammar(tag=tag, keys=KEYS, styles=styles)
    state = grammar.start
    for _ in range(data.draw(st.integers(0, 150))):
        following = grammar.next_characters(state) + ("ab " if grammar.takes_free_text(state) else "")
        if not following:
            break
        state = grammar.step(state, data.draw(st.sampled_from(following)))
    end = grammar.completion(state)
    assert len(end) <= grammar.longest_completion
    for character in end:
        state = grammar.step(state, character)
    assert grammar.is_final(state)


def test_too_few_tokens_for_an_answer_are_refused():
    grammar = PointGrammar(tag="points", keys=KEYS, styles=("point",))
    tokens = len(words(places=True).encode("There are none."))
    GrammarConstraint([grammar], tokenizer=words(places=True), vocab_size=743, max_new_tokens=tokens)
    with pytest.raises(ConfigError, match=f"max_new_tokens is {tokens - 1}; .* needs room for {tokens}$"):
        GrammarConstraint([grammar], tokenizer=words(places=True), vocab_size=743, max_new_tokens=tokens - 1)


def test_a_tokenizer_that_writes_spaces_between_tokens_is_refused():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "red": 1, "<end>": 2, "[UNK]": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spaced = FastTokenizer(tokenizer=tokenizer, bos=None, eos="<end>", prompt_template="{prompt}")
    with pytest.raises(ConfigError, match="do not stand behind one another"):
        Vocabulary(spaced)


def test_a_vocabulary_that_lacks_a_character_is_named():
    letters = ["<end>", *'abcdefghijklmnopqrstuvwxyz/>="0123456789.; C']
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    bare = FastTokenizer(tokenizer=tokenizer, bos=None, eos="<end>", prompt_template="{prompt}")
    grammar = PointGrammar(tag="points", keys=KEYS, styles=("point",))
    with pytest.raises(ConfigError, match="the tokenizer has no token for 'T'; leave `constrained` out"):
        GrammarConstraint([grammar], tokenizer=bare, vocab_size=60, max_new_tokens=200)
    counting = PointGrammar(tag="points", keys=KEYS, styles=("count",))
    assert GrammarConstraint([counting], tokenizer=bare, vocab_size=60, max_new_tokens=9)([[]], [0]).sum() == 10
