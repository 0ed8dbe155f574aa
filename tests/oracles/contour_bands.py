"""Contour bands by OpenCV's erosion and dilation, one image at a time."""

import cv2
import numpy as np
from skimage.morphology import disk


def contour_band_cv2(label_map: np.ndarray, radius: int) -> np.ndarray:
    """Twin of `segmenters.dcan.task.contour_band`: (H, W) to bool (H, W), by the least and the largest id of a disc."""
    ids, kernel = label_map.astype(np.float32), disk(radius)
    lowest = cv2.erode(ids, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=float("inf"))
    highest = cv2.dilate(ids, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=-float("inf"))
    return lowest != highest
