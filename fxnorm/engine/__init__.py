"""Exact linear algebra: proven fast paths and step-by-step accumulators."""
