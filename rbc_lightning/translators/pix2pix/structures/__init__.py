"""Structure maps: what is dark in an image."""
