"""Networks of torch's own parts with the names that released SPOC and RING policies have; sheets 1.5, 1.6 and 2.4."""

import math

import torch
from torch import nn
from torch.nn import functional as F

CAMERAS = ("manipulation", "navigation")
GRID = (2, 3)


class Sinusoid(nn.Module):
    """Keeps its frequencies in a buffer, as the release does."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("div_term", 10_000.0 ** -(torch.arange(0, channels, 2) / channels))

    def forward(self, numbers):
        angles = numbers.float()[..., None] * self.div_term
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def adapter(come, go):
    return nn.Sequential(nn.Linear(come, go), nn.LayerNorm(go), nn.ReLU())


class VisualEncoder(nn.Module):
    """Fusion of cameras, text and perhaps boxes; its frozen encoders only lie in files."""

    def __init__(self, *, patches, text, channels, heads, layers, has_boxes, width):
        super().__init__()
        self.image_encoder = nn.Linear(2, 2)
        self.text_encoder = nn.Embedding(3, 2)
        self.visual_compressor = nn.Sequential(
            nn.Conv2d(patches, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU()
        )
        self.visual_adapter = adapter(channels, channels)
        self.text_adapter = adapter(text, channels)
        layer = nn.TransformerEncoderLayer(channels, heads, width, batch_first=True)
        self.fusion_xformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.fusion_token = nn.Parameter(torch.rand(channels))
        for camera in CAMERAS:
            self.register_parameter(f"visual_sensor_token_raw_{camera}_camera", nn.Parameter(torch.rand(channels)))
        if has_boxes:
            self.bbox_pos_encoder = nn.Sequential(Sinusoid(32), *adapter(32, channels))
            self.coord_pos_enc = nn.Embedding(20, channels)

    def forward(self, pictures, text, boxes):
        """pictures and boxes by camera: (time, channels, rows, columns) and (time, 2, 5); text (tokens, channels)."""
        tokens = []
        for camera in CAMERAS:
            seen = self.visual_compressor(pictures[camera]).flatten(2).transpose(1, 2)
            tokens.append(self.visual_adapter(seen) + getattr(self, f"visual_sensor_token_raw_{camera}_camera"))
        times = len(tokens[0])
        goal = self.text_adapter(text)
        parts = [self.fusion_token.expand(times, 1, -1), *tokens, goal.expand(times, -1, -1)]
        if boxes is not None:
            numbers = torch.cat([boxes[camera].flatten(1) for camera in ("navigation", "manipulation")], dim=1)
            parts.append(self.bbox_pos_encoder(numbers) + self.coord_pos_enc.weight)
        return self.fusion_xformer(torch.cat(parts, dim=1))[:, 0], goal


class Spoc(nn.Module):
    """One episode at a time."""

    def __init__(self, *, patches, text, channels, heads, layers, has_boxes=False, width=2048):
        super().__init__()
        self.visual_encoder = VisualEncoder(
            patches=patches, text=text, channels=channels, heads=heads, layers=layers, has_boxes=has_boxes, width=width
        )
        layer = nn.TransformerDecoderLayer(channels, heads, width, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers)
        self.action_classifier = nn.Linear(channels, 20)
        self.time_encoder = Sinusoid(channels)
        self.last_actions_embed = nn.Embedding(22, channels, padding_idx=21)
        self.object_in_hand_embed = nn.Embedding(3, channels)

    def forward(self, pictures, text, actions, in_hand, boxes=None):
        """(time, 20) logits."""
        fused, goal = self.visual_encoder(pictures, text, boxes)
        states = fused + self.last_actions_embed(actions) + self.time_encoder(torch.arange(len(actions)))
        states = states + self.object_in_hand_embed(in_hand)
        mask = nn.Transformer.generate_square_subsequent_mask(len(actions))
        return self.action_classifier(self.decoder(states[None], goal[None], tgt_mask=mask)[0])


class LlamaAttention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(channels, channels, bias=False) for _ in range(4))

    def forward(self, states, memory, *, is_causal):
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(0, 1)
            for project, x in ((self.wq, states), (self.wk, memory), (self.wv, memory))
        )
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        if is_causal:
            scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -math.inf)
        return self.wo((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))


class SwiGlu(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.w1, self.w3 = (nn.Linear(channels, width, bias=False) for _ in range(2))
        self.w2 = nn.Linear(width, channels, bias=False)

    def forward(self, states):
        return self.w2(F.silu(self.w1(states)) * self.w3(states))


class LlamaBlock(nn.Module):
    def __init__(self, channels, heads, width):
        super().__init__()
        self.attention_norm, self.ffn_norm, self.ffn_norm_kv, self.cross_ffn_norm = (
            nn.RMSNorm(channels, eps=1e-5) for _ in range(4)
        )
        self.attention = LlamaAttention(channels, heads)
        self.cross_attention = LlamaAttention(channels, heads)
        self.feed_forward = SwiGlu(channels, width)

    def forward(self, states, goal):
        normed = self.attention_norm(states)
        states = states + self.attention(normed, normed, is_causal=True)
        states = states + self.cross_attention(self.ffn_norm(states), self.ffn_norm_kv(goal), is_causal=False)
        return states + self.feed_forward(self.cross_ffn_norm(states))


class Llama(nn.Module):
    def __init__(self, channels, heads, layers):
        super().__init__()
        self.layers = nn.ModuleList(LlamaBlock(channels, heads, 256) for _ in range(layers))
        self.norm = nn.RMSNorm(channels, eps=1e-5)
        self.output = nn.Linear(channels, channels, bias=False)

    def forward(self, states, goal):
        for layer in self.layers:
            states = layer(states, goal)
        return self.output(self.norm(states))


class Ring(nn.Module):
    """One copy of the actor-critic."""

    def __init__(self, *, patches, text, channels, heads, layers, width=2048):
        super().__init__()
        self.visual_encoder = VisualEncoder(
            patches=patches, text=text, channels=channels, heads=heads, layers=layers, has_boxes=False, width=width
        )
        self.last_actions_embed = nn.Embedding(22, channels)
        self.time_encoder = Sinusoid(channels)
        self.decoder = Llama(channels, heads, layers)
        self.actor = nn.Module()
        self.actor.linear = nn.Linear(channels, 20)
        self.critic = nn.Module()
        self.critic.fc = nn.Linear(channels, 1)

    def forward(self, pictures, text, actions):
        """(time, 20) logits and (time,) values."""
        fused, goal = self.visual_encoder(pictures, text, None)
        states = fused + self.last_actions_embed(actions) + self.time_encoder(torch.arange(len(actions)))
        out = self.decoder(states, goal)
        return self.actor.linear(out), self.critic.fc(out)[:, 0]


class SeparateRing(Ring):
    """A whole second copy gives the values."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.critic_tsfm = Ring(**sizes)
