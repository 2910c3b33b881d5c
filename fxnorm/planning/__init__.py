"""The plan: options, the planner, and plans as files."""
