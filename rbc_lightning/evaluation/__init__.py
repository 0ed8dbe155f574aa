"""How good generated images are: faithful to their masks, as diverse as real ones, no copies."""
