"""Plans as plain ONNX files of standard operators whose floating-point and 64-bit arithmetic is exact, so that it gives the plan's bits."""
