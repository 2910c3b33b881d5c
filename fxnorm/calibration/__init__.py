"""Ranges and distributions of the FP32 model's values on data, and what is made of them: the interval a format must hold."""

from fxnorm.calibration.method import Method
from fxnorm.calibration.observation import observe
from fxnorm.calibration.ranges import Ranges

__all__ = ["Method", "Ranges", "observe"]
