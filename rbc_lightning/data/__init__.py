"""From files to batches: formats, manifest, phantom, augmentation, mixes."""
