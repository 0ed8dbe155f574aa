import numpy as np
import pytest

from rbc_lightning.core.instance_kernels import average_instances


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_pixel_takes_the_mean_of_its_instance(dtype):
    features = np.array([[1, 3, 5, 7], [0, 10, 20, 30]], dtype=dtype)
    ids = np.array([0, 2, 0, 2], dtype=np.int64)
    pooled = np.empty_like(features)
    average_instances(features, ids, 3, pooled)
    np.testing.assert_array_equal(pooled, [[3, 5, 3, 5], [10, 20, 10, 20]])
