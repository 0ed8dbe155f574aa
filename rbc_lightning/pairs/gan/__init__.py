"""Pairs drawn from noise: all channels of an image and its mask by one generator (DCGAN, WGAN, WGAN-GP)."""
