"""The navigation head: SPOC's twenty actions, chosen by one of its rules.

Source: sheet spoc_ring_holodeck_graspmolmo 1.3 (order), 1.10 (loss, scores), 1.11 (rules of choice), 2.3 (RING masks
    what is not navigation) and 2.4 (critic).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import ClasswiseWrapper, MetricCollection
from torchmetrics.classification import MulticlassF1Score

from zoo.errors import ConfigError
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction
from zoo.policy_head import IGNORED, PolicyHead

Choice = Literal["greedy", "sample", "sample_done_if_likeliest", "sample_done_if_probable"]

NEVER = -999_999.0
"""Logit of an action that must not be chosen, as in RING's release."""


class NavigationHead(PolicyHead):
    """A linear layer to the actions of SPOC in released order, and a critic where one is wanted.

    Args:
        choice: greedy takes the likeliest action; sample draws one; sample_done_if_likeliest draws `done` only where it
            is the likeliest, sample_done_if_probable only where it is more probable than `min_done_probability`.
        min_done_probability: In [0, 1].
        navigation_only: Actions of arm, gripper and sub-goals are never chosen, as in RING, nor learnt: episodes that
            need one are rejected.
        has_critic: A second linear layer estimates returns.
    Raises:
        ConfigError: an unknown choice, or no probability.
    """

    num_actions = len(SpocAction)

    def __init__(
        self,
        *,
        choice: Choice = "sample",
        min_done_probability: float = 0.3,
        navigation_only: bool = False,
        has_critic: bool = False,
    ) -> None:
        super().__init__()
        if choice not in get_args(Choice):
            raise ConfigError(f"navigation: choice {choice!r}; one of {', '.join(get_args(Choice))}")
        if not 0 <= min_done_probability <= 1:
            raise ConfigError(f"navigation: min_done_probability {min_done_probability}, expected one in [0, 1]")
        self.choice = choice
        self.min_done_probability = min_done_probability
        self.has_critic = has_critic
        self.choosable = tuple(int(a) for a in SpocAction if a in NAVIGATION_ACTIONS or not navigation_only)
        allowed = torch.tensor([number in self.choosable for number in range(self.num_actions)])
        self.register_buffer("forbidden", ~allowed, persistent=False)

    def build(self, *, hidden_size: int) -> None:
        self.actor = nn.Linear(hidden_size, self.num_actions)
        self.critic = nn.Linear(hidden_size, 1) if self.has_critic else None
        if self.critic is not None:
            nn.init.orthogonal_(self.critic.weight)
            nn.init.zeros_(self.critic.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.actor(hidden).float().masked_fill(self.forbidden, NEVER)

    def values(self, hidden: Tensor) -> Tensor:
        if self.critic is None:
            raise ConfigError("navigation: this head has no critic; set has_critic to true")
        return self.critic(hidden).squeeze(-1).float()

    def loss(self, logits: Tensor, actions: Tensor, total_steps: Tensor) -> dict[str, Tensor]:
        summed = F.cross_entropy(logits.flatten(0, 1), actions.flatten(), ignore_index=IGNORED, reduction="sum")
        return {"loss": summed / total_steps.clamp(min=1)}

    def choose(self, logits: Tensor, draws: Tensor) -> Tensor:
        likeliest = logits.argmax(-1)
        if self.choice == "greedy":
            return likeliest
        probabilities = logits.double().softmax(-1)
        may_end = torch.ones_like(likeliest, dtype=torch.bool)
        if self.choice == "sample_done_if_likeliest":
            may_end = likeliest == SpocAction.DONE
        elif self.choice == "sample_done_if_probable":
            may_end = probabilities[:, SpocAction.DONE] > self.min_done_probability
        return draw(without_done(probabilities, ~may_end), draws)

    def metrics(self) -> MetricCollection:
        def f1(average: Literal["weighted", "macro", "none"]) -> MulticlassF1Score:
            return MulticlassF1Score(self.num_actions, average=average, ignore_index=IGNORED)

        names = [action.long_name for action in SpocAction]
        return MetricCollection(
            {
                "f1_weighted": f1("weighted"),
                "f1_macro": f1("macro"),
                "f1": ClasswiseWrapper(f1("none"), labels=names, prefix="f1_"),
            }
        )


def without_done(probabilities: Tensor, rows: Tensor) -> Tensor:
    """Strike `done` out in some rows; what is left need not sum to 1.

    The same as drawing, and drawing again among the others where it was `done`.

    Args:
        probabilities: (rows, actions).
        rows: (rows,) bool.
    """
    is_done = torch.arange(probabilities.shape[-1], device=probabilities.device) == SpocAction.DONE
    return probabilities.masked_fill(rows.unsqueeze(-1) & is_done, 0)


def draw(weights: Tensor, draws: Tensor) -> Tensor:
    """Draw an index in each row by its weight.

    Args:
        weights: (rows, choices) float64, not negative, of any sum above 0.
        draws: (rows,) in [0, 1).
    Returns:
        (rows,) int64, never one of weight 0.
    """
    up_to = weights.cumsum(-1)
    places = draws.to(up_to).unsqueeze(-1) * up_to[:, -1:]
    chosen = torch.searchsorted(up_to, places, right=True).squeeze(-1)
    # The product may round up to the sum, and would then lie behind the last choice.
    last = weights.shape[-1] - 1 - weights.flip(-1).gt(0).int().argmax(-1)
    return torch.minimum(chosen, last)
