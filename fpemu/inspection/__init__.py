"""Single numbers and functions explained in exact fractions."""
