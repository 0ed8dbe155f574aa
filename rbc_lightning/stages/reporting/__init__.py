"""What `stage=report` gathers for its page: test images, predictions, cards, sheets."""
