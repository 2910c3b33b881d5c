"""What can be proven of a plan's integers: intervals of codes, worst cases of sums."""
