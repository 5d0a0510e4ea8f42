"""The only package that imports numba: scalar cores, and loops over arrays built on them.

The Python side imports these modules at the first call that needs them, never at ``import fpemu``, except `threads`,
which does not need numba.
"""
