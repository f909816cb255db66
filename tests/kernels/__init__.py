"""Tests of `vecload.kernels`."""
