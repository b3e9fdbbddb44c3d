"""Approaching Destination: GAN inversion as a walk, from a start in BigGAN's latent space towards a target image."""

__version__ = "0.1.0"
