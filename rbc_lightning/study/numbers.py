"""Numbers as text: a true minus sign, and no sign on what is rounded to 0."""


def number_text(value: float, places: int = 3) -> str:
    """A number to some places."""
    # Adding 0 makes 0 of -0.
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def signed_text(value: float) -> str:
    """A difference to four places with its sign, which 0 has none of."""
    return f"{value:+.4f}".replace("-", "−") if round(value, 4) else "0.0000"


def p_text(value: float) -> str:
    """A p-value to three places, or that it is below them."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
