"""A threshold, trained on nothing: the floor that every trained model has to clear."""
