"""Networks that find objects in images, and how they are trained."""
