"""A loss: one minus the Tversky index (Salehi et al. 2017)."""

from torch import Tensor, nn


class Tversky(nn.Module):
    """Logits (B, H, W) and a mask (B, H, W) to a scalar.

    Args:
        false_alarms: weight of pixels found in vain; those missed weigh 1 less it.
    """

    def __init__(self, false_alarms: float = 0.5) -> None:
        super().__init__()
        if not 0 <= false_alarms <= 1:
            raise ValueError(f"false_alarms must lie in [0, 1], got {false_alarms}")
        self.false_alarms = false_alarms

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        probability, truth = logits.sigmoid(), target.float()
        found = (probability * truth).sum()
        in_vain, missed = (probability * (1 - truth)).sum(), ((1 - probability) * truth).sum()
        return 1 - (found + 1) / (found + self.false_alarms * in_vain + (1 - self.false_alarms) * missed + 1)
