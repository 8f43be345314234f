"""Ordinary Python programs on symbolic numbers: functions that are traced, and a small autograd that runs them."""
