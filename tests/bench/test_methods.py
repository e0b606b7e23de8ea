"""Methods as they are typed: what is read, what it becomes in a recipe, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.bench.methods import Method, Part, parse_method, parse_methods
from zoo.errors import ConfigError, UnknownNameError
from zoo.pruning.random import RandomPruner


def test_commas_inside_brackets_belong_to_the_arguments():
    none, random, both = parse_methods("none, random(seed=3, site=llm.layer[1]) ,stride+random(site=vit.output)")
    assert none == Method((Part("none"),))
    assert random.parts[0].arguments == {"seed": 3, "site": "llm.layer[1]"}
    assert [part.name for part in both.parts] == ["stride", "random"]


@pytest.mark.parametrize(
    ("typed", "value"),
    [("true", True), ("3", 3), ("0.5", 0.5), ("1e-3", 0.001), ("null", None), ("previous", "previous"), ("'3'", "3"),
     ("[1, 2]", [1, 2])],
)  # fmt: skip
def test_values_are_yaml(typed, value):
    (part,) = parse_method(f"random(protect_first_frame={typed})").parts
    assert part.arguments == {"protect_first_frame": value}


def test_the_label_does_not_depend_on_how_it_was_typed():
    one, other = parse_method("random( seed = 1,protect_first_frame=True )"), parse_method("random(protect_first_frame=true, seed=1)")  # noqa: E501 # fmt: skip
    assert one.label == other.label == "random(protect_first_frame=true, seed=1)"


label = st.builds(
    Method,
    st.lists(
        st.builds(
            Part,
            st.sampled_from(["random", "none", "stride"]),
            st.dictionaries(
                st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
                st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(["a", "llm.layer[1]"])),  # noqa: E501
                max_size=3,
            ),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)  # fmt: skip


@given(label)
def test_a_label_reads_as_its_method(method):
    assert parse_method(method.label) == method


def test_the_first_pruner_removes_what_the_sweep_says():
    both = parse_method("random(site=vit.output)+random(remove=0.2, site=llm.layer[1])")
    first, second = both.specs(remove=0.7, seed=4)
    assert first == {"class_path": "random", "init_args": {"site": "vit.output", "remove": 0.7, "seed": 4}}
    assert second["init_args"]["remove"] == 0.2


def test_what_was_typed_stays():
    typed = parse_method("random(remove=0.1, seed=2)")
    assert not typed.removes and not typed.draws and typed.remove == 0.1
    assert typed.specs(remove=0.7, seed=4)[0]["init_args"] == {"remove": 0.1, "seed": 2}


def test_the_dense_model_takes_neither_share_nor_seed():
    none = parse_method("none")
    assert not none.removes and not none.draws and none.remove == 0.0
    assert none.specs(remove=0.5, seed=1) == [{"class_path": "none", "init_args": {}}]


def test_the_pruners_themselves():
    (pruner,) = parse_method("random(site=vit.output)").build(remove=0.25, seed=9)
    assert isinstance(pruner, RandomPruner)
    assert (pruner.seed, str(pruner.sites()[0])) == (9, "vit.output")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("random(seed=1", "'\\(' is not closed"),
        ("random)", "'\\)' closes nothing"),
        ("random(site=llm.layer[1)", "'\\)' closes nothing"),
        ("random,,none", "nothing stands before or behind a ','"),
        ("random+", "nothing stands before or behind a '\\+'"),
        ("", "nothing is named"),
        ("random(0.5)", "'0.5' is no argument=value"),
        ("random(seed=)", "'seed=' is no argument=value"),
        ("random(seed=1, seed=2)", "seed of random stands there twice"),
        ("random(site={a)", "closes nothing"),
        ("random (seed=1) x", "is no name with arguments"),
        ("random(site=\"a)", "is no YAML value"),
    ],
)  # fmt: skip
def test_broken_syntax_shows_the_text_and_an_example(text, reason):
    with pytest.raises(ConfigError, match=reason) as raised:
        parse_methods(text)
    assert repr(text) in str(raised.value) and "type pruners like none,random" in str(raised.value)


def test_a_name_that_is_none():
    with pytest.raises(UnknownNameError, match="no pruner 'randm'. Near: random"):
        parse_methods("none,randm(seed=1)")


def test_a_method_named_twice():
    with pytest.raises(ConfigError, match="name random\\(seed=1\\) twice"):
        parse_methods("random(seed=1),none,random( seed=1 )")
