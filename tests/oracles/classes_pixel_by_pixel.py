"""Scores of classes read off the definitions: one loop over classes, masks in place of counts."""

import numpy as np


def class_scores_plainly(found, truth, n_classes):
    """Accuracy, and IoU and Dice of every value that a map has, by value."""
    iou, dice = {}, {}
    for value in range(n_classes + 1):
        given, true = found == value, truth == value
        if (given | true).any():
            iou[value] = (given & true).sum() / (given | true).sum()
            dice[value] = 2 * (given & true).sum() / (given.sum() + true.sum())
    return float(np.mean(found == truth)), iou, dice


def mean_plainly(scores, background):
    """Mean over the values that a map has, 1 if there is none."""
    chosen = [score for value, score in scores.items() if value > 0 or background]
    return sum(chosen) / len(chosen) if chosen else 1.0
