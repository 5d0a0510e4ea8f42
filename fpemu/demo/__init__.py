"""The demo: a small network and a sine, each in several formats; `fpemu demo` prints what these modules compute."""
