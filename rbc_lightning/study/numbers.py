"""Numbers as text: a true minus sign, and no sign on what is rounded to 0."""

CUT = "cut"
"""Behind an end of an interval that lies beyond what a score can be."""


def number_text(value: float, places: int = 3) -> str:
    """A number to some places."""
    # Adding 0 makes 0 of -0.
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def mean_text(mean: float, low: float, high: float, *, higher_is_better: bool) -> str:
    """A mean score with its interval to three places: 0.056 [0 (cut), 0.146].

    Intervals are symmetric and may reach below 0, or above 1, where no score that is better when higher can be. There such an
    end is said to be cut.
    """
    lower = f"0 ({CUT})" if low < 0 <= mean else number_text(low)
    upper = f"1 ({CUT})" if higher_is_better and mean <= 1 < high else number_text(high)
    return f"{number_text(mean)} [{lower}, {upper}]"


def signed_text(value: float) -> str:
    """A difference to four places with its sign, which 0 has none of."""
    return f"{value:+.4f}".replace("-", "−") if round(value, 4) else "0.0000"


def p_text(value: float) -> str:
    """A p-value to three places, or that it is below them."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
