"""Scaled formats as data: schemes, scale rules, tools and their profiles."""
