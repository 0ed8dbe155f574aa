import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rbc_lightning.data.volumes.doctor.twins import Candidate, signature, twin_findings

SHAPE, SPACING = (44, 52, 24), (4.0, 4.0, 6.5)


def head(seed, noise=0.0, shift=(0, 0, 0)):
    """One outline for all, folds by the seed, and noise of the scan."""
    x, y, z = np.mgrid[:44, :52, :24]
    brain = ((x - 21.5) / 17) ** 2 + ((y - 25.5) / 21) ** 2 + ((z - 11.5) / 9) ** 2 < 1
    folds = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 0.7)
    volume = (10 + folds / folds.std() + np.random.default_rng(99).normal(0, noise + 1e-9, SHAPE)) * brain
    return np.roll(volume, shift, (0, 1, 2)), np.roll(brain, shift, (0, 1, 2))


def candidate(name, volume, brain, group=None, split="train", hashes=None):
    return Candidate(name, group or name, split, hashes or (name,), signature(volume, brain, SPACING))


def test_one_brain_scanned_twice_is_found_among_others_wherever_it_lies():
    scans = [candidate(f"s{seed}", *head(seed)) for seed in range(4)]
    again = candidate("again", *head(2, noise=0.5, shift=(2, -1, 1)), split="test")
    (finding,) = twin_findings([*scans, again])
    assert finding.scans == ("s2", "again")
    assert finding.text.startswith("of patients s2 (train) and again (test): correlate by 0.")


def test_identical_channels_are_counted_and_come_first():
    volume, brain = head(0)
    one = candidate("a", volume, brain, hashes=("x", "y"))
    other = candidate("b", *head(1), split="test", hashes=("x", "z"))
    third = candidate("c", volume, brain, hashes=("v", "w"))
    identical, alike = twin_findings([one, other, third])
    assert identical.scans == ("a", "b")
    assert "1 of 2 channels are identical" in identical.text
    assert alike.scans == ("a", "c")


def test_two_scans_of_one_patient_are_no_finding():
    volume, brain = head(0)
    assert twin_findings([candidate("a", volume, brain, "p"), candidate("b", volume, brain, "p", hashes=("a",))]) == []
    assert twin_findings([]) == []


def test_a_signature_has_norm_1_and_a_volume_of_one_value_none():
    assert np.linalg.norm(signature(*head(0), SPACING)) == pytest.approx(1, abs=1e-5)
    assert not signature(np.ones(SHAPE), np.ones(SHAPE, bool), SPACING).any()
    assert not signature(np.ones(SHAPE), np.zeros(SHAPE, bool), SPACING).any()


def test_where_all_heads_are_alike_none_is_a_copy_but_the_one_that_stands_out():
    def smooth(seed):
        rng = np.random.default_rng(seed)
        volume, brain = head(7)
        return volume + rng.normal(0, 0.6, SHAPE) * brain, brain

    scans = [candidate(f"s{seed}", *smooth(seed)) for seed in range(5)]
    assert twin_findings(scans[:2])
    assert twin_findings(scans) == []
