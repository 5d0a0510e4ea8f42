"""Files read within a budget and written whole or not at all."""
