"""Arrays of codes that behave as numpy arrays do."""
