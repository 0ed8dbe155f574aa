"""Statistics of layouts, and distances between them."""
