"""What follows from a format without casting: limits, classes of codes, exact values, text."""
