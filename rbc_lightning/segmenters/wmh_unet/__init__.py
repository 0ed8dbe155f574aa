"""The U-Net whose ensemble won the WMH segmentation challenge of 2017."""
