"""Kernels: hardware blocks in exact integers, one a module."""
