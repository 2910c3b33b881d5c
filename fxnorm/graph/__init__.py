"""The model: import from ONNX, simplification, and the FP32 reference."""
