"""The demo: a small network and a sine, each in several formats; `fpemu demo` prints it."""
