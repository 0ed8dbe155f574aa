"""One run: train on a mix, test on real images, record the outcome."""
