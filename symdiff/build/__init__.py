"""Compiled kernels: the per-user cache of libraries, and the way from C source to a `Kernel`."""
