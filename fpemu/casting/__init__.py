"""Numbers to codes and codes to numbers, whole arrays at a time."""
