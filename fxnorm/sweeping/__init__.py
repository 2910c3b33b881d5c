"""Many configurations of one network, measured on the same data, row by row into a run folder."""
