import numpy as np

from rbc_lightning.masks.jit import kernel


@kernel
def harmonic(numbers, start):
    total = start
    for number in numbers:
        total += 1.0 / number
    return total


def test_a_kernel_is_the_function_compiled():
    assert harmonic(np.array([1.0, 2.0, 4.0]), 0.0) == harmonic.py_func(np.array([1.0, 2.0, 4.0]), 0.0) == 1.75


def test_additions_keep_their_order():
    # Reordered, as fast-math may do, the small numbers would not be lost one by one.
    assert harmonic(np.full(1000, 1e17), 1.0) == 1.0


def test_it_is_kept_on_disk_runs_without_the_lock_and_divides_as_numpy_does():
    options = harmonic.targetoptions
    assert (options["nogil"], options["error_model"], options.get("fastmath", False)) == (True, "numpy", False)
    assert harmonic(np.array([0.0]), 0.0) == np.inf
    harmonic(np.ones(2), 0.0)
    assert harmonic.stats.cache_path
