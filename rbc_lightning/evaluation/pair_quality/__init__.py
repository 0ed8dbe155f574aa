"""How good synthetic pairs are: their masks, images and masks together, diversity, memorisation; beside real pairs."""
