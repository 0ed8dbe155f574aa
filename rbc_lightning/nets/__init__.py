"""Networks: `nn.Module` only, no losses, no logging."""
