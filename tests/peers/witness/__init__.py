"""Recorded answers of libraries too big for the gate; `python -m tests.peers.witness` records and checks them."""
