"""What every registered trunk part promises; published sizes are built without memory."""

import inspect
import pickle

import pytest
import torch
from trunk_fixtures import build_batch, build_module

from zoo import registry
from zoo.backbone import Connector, LanguageModel
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.processor import TextTokenizer
from zoo.text_encoder import TextEncoder
from zoo.vision_encoder import VisionEncoder

CONTRACTS = {
    "vision_encoder": VisionEncoder,
    "connector": Connector,
    "language_model": LanguageModel,
    "text_encoder": TextEncoder,
    "tokenizer": TextTokenizer,
}


def needs_no_arguments(kind: str, name: str) -> bool:
    """Families such as `qwen3` want their sizes; their named sizes are built here."""
    return all(p.default is not p.empty for p in inspect.signature(registry.load(kind, name)).parameters.values())


NAMED = [(kind, name) for kind in CONTRACTS for name in registry.names(kind) if needs_no_arguments(kind, name)]
PARAMETERS = {  # millions, sheet molmo2_stts A1.1 and A1.3 and the published model cards
    "siglip-base": 86,
    "siglip2-base": 86,
    "siglip2-so400m": 413,
    "clip-resnet-50": 23.5,
    "dinov2-small": 22.1,
    "dinov2-base": 86.6,
    "dinov2-large": 304.4,
    "dinov2-giant": 1136.5,
    "siglip-text-base": 110,
    "siglip2-text-base": 282,
    "t5-small": 35.3,
    "t5-base": 109.6,
    "minilm-l6": 22.6,
    "qwen3-4b": 4411,
    "qwen3-8b": 8191,
    "smollm2-135m": 135,
    "qwen2-0.5b": 494,
    "qwen2-7b": 7616,
    "olmo2-1b": 1485,
    "olmo2-7b": 7299,
    "olmo3-7b": 7298,
}


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_it_is_what_its_kind_says(kind, name):
    with torch.device("meta"):
        part = registry.build(kind, name)
    assert isinstance(part, CONTRACTS[kind])


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_sizes_have_the_published_number_of_parameters(name):
    kind = next(k for k in CONTRACTS if name in registry.names(k))
    with torch.device("meta"):
        part = registry.build(kind, name)
    assert sum(p.numel() for p in part.parameters()) / 1e6 == pytest.approx(PARAMETERS[name], rel=0.01)


@pytest.mark.parametrize("name", [name for name in registry.names("vision_encoder") if name.endswith("-tiny")])
def test_frames_of_a_vision_encoder_do_not_see_each_other(name):
    encoder = registry.build("vision_encoder", name).eval()
    pixels = torch.randint(0, 256, (3, 3, *encoder.image_size), dtype=torch.uint8)

    def states(frames):
        facts = Frames(
            clip=(0,) * len(frames),
            time_s=tuple(map(float, frames)),
            size_px=(encoder.image_size,) * len(frames),
            window=((1, 1),) * len(frames),
        )
        with torch.no_grad():
            return encoder(pixels[frames], TokenLayout.of_frames(facts, encoder.grid)).states

    together = states([0, 1, 2])
    patches = encoder.grid[0] * encoder.grid[1]
    assert together.shape == (3 * patches, encoder.hidden_size * len(encoder.feature_blocks))
    torch.testing.assert_close(together[patches : 2 * patches], states([1]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", registry.names("connector"))
def test_a_connectors_window_is_its_real_patches_alone(name):
    connector = registry.example("connector", name)
    connector.build(vision_size=64, num_features=2, hidden_size=24, intermediate_size=40)
    assert len(connector.image_window) == len(connector.video_window) == 2
    features = torch.randn(30, 128, requires_grad=True)
    table = torch.tensor([[0, 1, 2, 3], [7, 9, -1, -1], [29, -1, -1, -1]])
    vectors = connector(features, table)
    assert vectors.shape == (3, 24)
    for vector, row in zip(vectors, table, strict=True):
        torch.testing.assert_close(vector, connector(features, row[None, row >= 0])[0], rtol=1e-5, atol=1e-6)
    vectors.square().sum().backward()
    assert set(features.grad.abs().sum(1).nonzero().flatten().tolist()) == {0, 1, 2, 3, 7, 9, 29}
    assert all(p.grad is not None for p in connector.parameters())


PLACES = {"vision_encoder": "vision", "connector": "connector", "language_model": "language"}
SMALL = [
    (kind, name) for kind in PLACES for name in registry.names(kind) if kind == "connector" or name.endswith("-tiny")
]


@pytest.mark.parametrize(("kind", "name"), SMALL)
def test_it_learns_and_answers_inside_a_composed_model(kind, name):
    part = registry.example(kind, name)
    module = build_module(**{PLACES[kind]: part})
    batch = build_batch(module)
    loss, _ = module._losses(module(batch), batch)
    loss.backward()
    silent = [n for n, p in part.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []
    with torch.no_grad():
        together, alone = module.answer(batch), module.answer(build_batch(module, frames=(3,), questions=(3,)))
    assert [p.answer for p in together[:3]] == [p.answer for p in alone]


@pytest.mark.parametrize("name", [name for kind, name in NAMED if kind == "tokenizer"])
def test_a_tokenizer_says_back_what_it_was_told(name):
    tokenizer = registry.build("tokenizer", name)
    for text in ("What colour is the small cube?", "12.5 ünïcode\n日本", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert max(tokenizer.prompt(text)) < tokenizer.vocab_size
    assert pickle.loads(pickle.dumps(tokenizer)).encode("red") == tokenizer.encode("red")


def called(units, run) -> list[int]:
    """Numbers of the units whose own `forward` ran, in their order."""
    seen: list[int] = []
    hooks = [u.register_forward_hook(lambda *_, number=n: seen.append(number)) for n, u in enumerate(units)]
    run()
    for hook in hooks:
        hook.remove()
    return seen


def test_blocks_and_layers_are_called_as_modules_so_that_hooks_can_gather_their_weights(module, batch_of):
    trunk, batch = module.model, batch_of(module)
    units = (*trunk.vision.units(), *trunk.language.units())
    assert len(units) == trunk.vision.num_blocks + trunk.language.num_layers
    assert trunk.units() == units
    with torch.no_grad():
        assert called(units, lambda: trunk(batch)) == list(range(len(units)))
