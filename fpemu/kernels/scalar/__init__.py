"""Scalar cores: functions of integers and tuples of integers, without arrays."""
