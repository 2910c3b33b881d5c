"""What all tests share: one hypothesis profile, and this folder on the import path for `oracles`."""

from __future__ import annotations

from hypothesis import settings

# Drawn cases are the same in every run: a red test stays red until it is mended.
settings.register_profile("fxnorm", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.load_profile("fxnorm")
