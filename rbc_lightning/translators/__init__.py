"""From label maps to images: networks, trainings, trained translators."""
