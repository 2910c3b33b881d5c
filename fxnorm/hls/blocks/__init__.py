"""Kernels as blocks of hardware, a family a module."""
