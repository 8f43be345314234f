"""Checks of what was generated, by other ways of working it out."""
