"""The models and spectra of the tests of `nn`."""

from tests.nn.conftest import workshop as workshop
