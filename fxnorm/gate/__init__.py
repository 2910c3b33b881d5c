"""What is asked of a run, for continuous integration: limits, verdicts, and how they are told."""
