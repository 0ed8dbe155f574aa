import pytest

from rbc_lightning.errors import InputError, TrainingStopped, blaming


@pytest.mark.parametrize("error", [ValueError("bad 3."), TypeError("bad 3"), OSError("bad 3")])
def test_a_refused_argument_is_blamed_on_its_group(error):
    with pytest.raises(InputError, match=r"^sampler: bad 3; check the settings sampler\.\*$"), blaming("sampler"):
        raise error


@pytest.mark.parametrize("error", [InputError("as it is"), TrainingStopped("as it is"), KeyError("as it is")])
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error), match="as it is") as caught, blaming("sampler"):
        raise error
    assert caught.value is error
