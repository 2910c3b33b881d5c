"""Independent models: what kernels must give, written from their documentation in plain Python integers and fractions.

Nothing here computes with NumPy: its arrays only hold Python integers (dtype object) and are visited one element at a time.
"""
