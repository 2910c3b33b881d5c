"""The cheapest plan that meets a gate: widths, accumulators and normalization layer by layer."""
