"""The demo: a small network and a sine, each in several formats; printed by `fpemu demo`."""
