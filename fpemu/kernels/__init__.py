"""The only place that imports numba: scalar cores below, array loops above them.

The Python side imports these modules at the first call that needs them, never at ``import fpemu``; but for `threads`,
which needs no numba.
"""
