"""Arrays of codes with numpy's manners."""
