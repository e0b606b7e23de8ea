"""Configurations of transformers that say something else than they should, for hypothesis."""

from collections.abc import Mapping

from hypothesis import strategies as st

some_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70) | st.floats(-2, 70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def changed(draw: st.DrawFn, good: Mapping[str, object]) -> object:
    """A configuration with up to two other values, or any JSON in its place."""
    changes = draw(st.dictionaries(st.sampled_from(sorted(good)), some_json, max_size=2))
    return draw(st.just({**good, **changes}) | some_json)
