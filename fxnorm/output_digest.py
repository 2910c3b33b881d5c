"""A digest of a run's outputs, to the bit, which parts of a run can be put together to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


@dataclass
class OutputDigest:
    """SHA-256 of every sample's codes, by output.

    The digest of an output is the SHA-256 over the SHA-256 of its samples in their order; that of a sample is over its codes as
    little-endian 64-bit integers, which is what an array ``NAME.codes`` of `simulate --outputs` holds.

    Attributes
    ----------
    samples
        Their digests, 32 bytes each, by output.
    """

    samples: dict[str, bytes] = field(default_factory=dict)

    def add(self, codes: Mapping[str, Array]) -> None:
        """Take in the codes [samples, ...] of some samples, by output."""
        for name, array in codes.items():
            words = np.ascontiguousarray(array, dtype="<i8")
            found = b"".join(hashlib.sha256(sample.tobytes()).digest() for sample in words)
            self.samples[name] = self.samples.get(name, b"") + found

    def merge(self, later: OutputDigest) -> None:
        """Take in the samples that come after those of this one."""
        for name, found in later.samples.items():
            self.samples[name] = self.samples.get(name, b"") + found

    def of(self, name: str) -> str:
        """Digest of one output."""
        return hashlib.sha256(self.samples.get(name, b"")).hexdigest()

    @property
    def whole(self) -> str:
        """Digest of all outputs: SHA-256 over a line "DIGEST  NAME" for each, by name."""
        lines = "".join(f"{self.of(name)}  {name}\n" for name in sorted(self.samples))
        return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
