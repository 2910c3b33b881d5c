"""Measurements against what users have today; see `make bench`."""
