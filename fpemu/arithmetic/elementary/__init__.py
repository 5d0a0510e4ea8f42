"""Elementary functions, correctly rounded."""
