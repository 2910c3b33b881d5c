"""C++ for high-level synthesis: projects that compute the bits of a plan."""
