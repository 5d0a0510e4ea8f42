"""Facts about formats that need no cast: limits, exactness, classes of codes, exact values, text."""
