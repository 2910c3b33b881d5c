"""From ONNX operators to the operations of the hardware; one family of operators a module."""
