"""U-Net of segmentation-models-pytorch."""
