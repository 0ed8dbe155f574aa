"""Average precision the way the VOC evaluation walks through it: one detection after the other."""


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def voc_average_precision(predictions, targets, iou_threshold, eleven_points=False):
    """Boxes as lists; scores all different; at least one target."""
    ranked = sorted(
        (
            (score, image, box)
            for image, p in enumerate(predictions)
            for box, score in zip(p["boxes"], p["scores"], strict=True)
        ),
        reverse=True,
    )
    taken, right, points = set(), 0, []
    n_targets = sum(len(t["boxes"]) for t in targets)
    for rank, (_, image, box) in enumerate(ranked, start=1):
        overlaps = [iou(box, true) for true in targets[image]["boxes"]]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] > iou_threshold and (image, best) not in taken:
            taken.add((image, best))
            right += 1
        points.append((right, right / rank))

    def envelope(found):
        return max((precision for right, precision in points if right >= found), default=0.0)

    if eleven_points:
        return sum(envelope(-(-tenth * n_targets // 10)) for tenth in range(11)) / 11
    return sum(envelope(found) for found in range(1, n_targets + 1)) / n_targets
