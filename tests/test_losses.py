import functools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.training.losses import (
    charbonnier,
    check_loss,
    get_loss,
    l1,
    mse,
    name_of,
    says_which,
)

pytestmark = pytest.mark.usefixtures("strict")

_SR = jnp.array([[[[0.0], [0.5]], [[1.0], [0.25]]]])
_HR = jnp.array([[[[0.0], [1.0]], [[0.0], [0.0]]]])


def test_mse_is_mean_of_squares():
    np.testing.assert_allclose(mse(_SR, _HR), (0.25 + 1 + 0.0625) / 4, rtol=1e-6)


def test_l1_is_mean_of_absolutes():
    np.testing.assert_allclose(l1(_SR, _HR), (0.5 + 1 + 0.25) / 4, rtol=1e-6)


def test_charbonnier_of_equal_images_is_epsilon():
    np.testing.assert_allclose(charbonnier(_HR, _HR), 1e-3, rtol=1e-6)


def test_charbonnier_of_large_errors_is_l1():
    np.testing.assert_allclose(charbonnier(_SR, _HR), l1(_SR, _HR), atol=1e-3)


def test_get_loss_unknown_lists_those_that_exist():
    with pytest.raises(InputError, match="'huber'.* mse, l1, charbonnier"):
        get_loss("huber")


def test_check_loss_tries_it_on_what_a_step_has():
    """A loss may be for luma alone, or for sides that are divisible by something."""

    def of_luma(sr, hr):
        assert sr.shape[-1] == 1
        return jnp.abs(sr - hr).mean()

    check_loss(of_luma, "a.b:c", (2, 16, 16, 1))
    with pytest.raises(InputError, match=r"of images \[2, 16, 16, 3\] \(assert 3"):
        check_loss(of_luma, "a.b:c", (2, 16, 16, 3))


def test_check_loss_takes_a_mean_and_refuses_what_gives_no_number():
    check_loss(l1, "l1", (2, 16, 16, 3))
    expected = "^train.loss: a.b:c: expected loss.sr, hr. to give one float"
    for wrong in (lambda sr, hr: (sr - hr) ** 2, lambda sr: sr.mean(), lambda *_: None):
        with pytest.raises(InputError, match=expected):
            check_loss(wrong, "a.b:c", (2, 16, 16, 3))


def huber(sr, hr, *, delta):
    return jnp.where(jnp.abs(sr - hr) < delta, 0.0, 1.0).mean()


def test_names_of_functions_that_tell_nothing():
    assert says_which("l1") and says_which("my_package.losses:huber")
    for loss in (lambda sr, hr: sr.mean(), functools.partial(huber, delta=0.1)):
        assert not says_which(name_of(loss))
