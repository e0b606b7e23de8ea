import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from zoo import registry
from zoo.backbones.tokenizers import FastTokenizer, chat_template, from_hf, words
from zoo.errors import ConfigError, DataError
from zoo.preprocessing.vision_tokens import TOKEN_TEXTS

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURN = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def folder(tmp_path):
    """A vocabulary with ChatML turns and a system prompt that nobody asked for, as SmolLM2 has it."""
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=words().tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=CHATML,
    )
    theirs.save_pretrained(tmp_path)
    return tmp_path


def test_turns_are_those_of_the_chat_template(folder):
    ours, theirs = from_hf(str(folder)), AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "What is red?"}]
    expected = theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert ours.prompt("What is red?") == expected
    assert theirs.decode(expected).startswith("<|im_start|>system\nBe brief.")
    assert (ours.bos_id, ours.eos_id) == (theirs.bos_token_id, theirs.eos_token_id)
    turns += [{"role": "assistant", "content": "it"}, {"role": "user", "content": "Why?"}]
    between = [*ours.prompt("What is red?"), *ours.encode("it"), ours.eos_id, *ours.turn_separator()]
    assert theirs.apply_chat_template(turns, return_dict=False)[: len(between)] == between


def test_a_recipe_may_choose_turns_and_ends(folder):
    ours = from_hf(str(folder), prompt_template=TURN, bos=None, eos="<|im_start|>")
    assert ours.prompt("What is red?") == ours.encode(TURN.replace("{prompt}", "What is red?"))
    assert (ours.bos_id, ours.eos_id) == (None, ours.tokenizer.token_to_id("<|im_start|>"))


def test_where_a_vocabulary_has_no_begin_token_sequences_begin_with_its_end(folder):
    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.bos_token = None
    theirs.save_pretrained(folder)
    ours = from_hf(str(folder))
    assert ours.bos_id == ours.eos_id


@pytest.mark.parametrize("template", [TURN, "{prompt}", "a\\b'c{{ {prompt} }}% {% d"])
def test_saved_files_rebuild_a_tokenizer(template, tmp_path):
    ours = FastTokenizer(
        tokenizer=words().tokenizer, bos=None, eos="<|im_end|>", prompt_template=template, separator="\n"
    )
    before = ours.tokenizer.to_str()
    recipe = ours.save_files(tmp_path / "saved")
    assert ours.tokenizer.to_str() == before
    again = registry.build("tokenizer", recipe["class_path"], **recipe["init_args"])
    for text in ("What colour is the small cube?", "12.5 ünïcode\n日本 {prompt} {}", ""):
        assert again.encode(text) == ours.encode(text)
        assert again.prompt(text) == ours.prompt(text)
        assert again.decode(again.encode(text)) == text
    assert (again.bos_id, again.eos_id, again.vocab_size) == (None, ours.eos_id, ours.vocab_size)
    assert again.turn_separator() == ours.turn_separator()


def test_a_chat_template_says_what_the_turns_say(tmp_path):
    ours = FastTokenizer(tokenizer=words().tokenizer, bos=None, eos="<|im_end|>", prompt_template=TURN, separator="\n")
    ours.save_files(tmp_path)
    assert from_hf(str(tmp_path)).prompt_template == TURN
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == chat_template(TURN, "<|im_end|>", "\n")


PLACES = '<points coords="0.5 1 312 644 12 087 401;12.4 13 100 1000">small cubes</points>'


def test_points_take_half_the_tokens_and_other_text_keeps_its_ids():
    plain, placed = words(), words(places=True)
    assert placed.vocab_size == 743
    assert [placed.tokenizer.id_to_token(i) for i in range(plain.vocab_size)] == [
        plain.tokenizer.id_to_token(i) for i in range(plain.vocab_size)
    ]
    assert len(placed.encode(PLACES)) < 0.5 * len(plain.encode(PLACES))
    for text in (
        *(
            "What colour is the object furthest left?",
            " 2.5 ",
            "0.0 ",
            "12 objects",
            "a<b",
            "x > y; z",
            "green moved left",
        ),
        *("there are 3 objects. the red object is a large cube", "Which object is closer to the camera?", "300"),
    ):
        assert placed.encode(text) == plain.encode(text)


@given(
    st.lists(st.sampled_from([PLACES, "tracks", "<", " 100", " 1 500 500", ";0.5 ", "ü", '"']) | st.text()).map("".join)
)
def test_text_with_points_comes_back(text):
    tokenizer = words(places=True)
    ids = tokenizer.encode(text)
    assert tokenizer.tokenizer.decode(ids, skip_special_tokens=False) == text


def test_what_is_missing_is_named(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ConfigError, match=f"hf:{empty} holds no tokenizer that can be read"):
        from_hf(str(empty))
    with pytest.raises(ConfigError, match="no folder nothing, and no hub id"):
        from_hf("nothing")
    with pytest.raises(ConfigError, match=r"vocabulary has no \['<end>'\]"):
        from_hf(str(folder), eos="<end>")
    for template in ("no place", "{prompt}{prompt}"):
        with pytest.raises(ConfigError, match=r"must hold \{prompt\} once"):
            from_hf(str(folder), prompt_template=template)


def test_a_vocabulary_without_turns_wants_a_template(tmp_path):
    bare = Tokenizer(models.WordLevel({"a": 0, "<end>": 1}, unk_token="a"))
    PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>").save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="has no chat template; give prompt_template"):
        from_hf(str(tmp_path))
    assert from_hf(str(tmp_path), prompt_template="{prompt}").turn_separator() == []
    PreTrainedTokenizerFast(tokenizer_object=bare).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="names no token that ends an answer; give eos"):
        from_hf(str(tmp_path), prompt_template="{prompt}")


def with_extra_tokens(texts):
    tokenizer = words().tokenizer
    tokenizer.add_special_tokens([*texts])
    return tokenizer


def test_a_vocabulary_is_taken_up_to_the_extra_tokens():
    ours = FastTokenizer(
        tokenizer=with_extra_tokens(TOKEN_TEXTS.values()), bos=None, eos="<|im_end|>", prompt_template="{prompt}"
    )
    assert ours.vocab_size == words().vocab_size
    with pytest.raises(DataError, match="a text holds <im_patch>, which stands for pictures; leave it out: 'what is"):
        ours.prompt("what is <im_patch>?")


def test_extra_tokens_in_another_order_are_refused():
    texts = [*TOKEN_TEXTS.values()]
    texts[1], texts[2] = texts[2], texts[1]
    with pytest.raises(ConfigError, match=r"<im_end>.*lie elsewhere than Molmo2's; expected <im_start>, <im_end>"):
        FastTokenizer(tokenizer=with_extra_tokens(texts), bos=None, eos="<|im_end|>", prompt_template="{prompt}")


def test_a_separator_is_all_that_stands_between_turns(tmp_path):
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{% if not loop.first %}{{ '<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>user\n' + m['content'] + '<|im_end|>\n' }}"
        "{% else %}{{ '<|im_start|>assistant\n' + m['content'] }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    for eos, expected in (("<|im_end|>", "\n"), ("<|im_start|>", "<|im_end|>\n")):
        PreTrainedTokenizerFast(
            tokenizer_object=words().tokenizer, eos_token=eos, chat_template=template
        ).save_pretrained(tmp_path)
        ours = from_hf(str(tmp_path))
        assert ours.turn_separator() == ours.encode(expected)
    native = from_hf(str(tmp_path), eos="<|im_end|>", separator="<|im_end|>\n")
    assert native.turn_separator() == native.encode("<|im_end|>\n")


def test_ids_alone_are_a_text_of_numbers():
    tokenizer = registry.build("tokenizer", "ids", eos_id=7)
    assert tokenizer.encode(tokenizer.decode([3, 12, 0])) == tokenizer.prompt("3 12 0") == [3, 12, 0]
    assert (tokenizer.bos_id, tokenizer.eos_id) == (None, 7)
    with pytest.raises(ConfigError, match="'red' cannot be read: the model came without a vocabulary"):
        tokenizer.encode("red")
