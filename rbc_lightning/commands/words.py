"""Words of what stages print."""


def counted(count: int, word: str) -> str:
    """A number of things: `1 scan`, `2 scans`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
