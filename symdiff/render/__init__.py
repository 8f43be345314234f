"""Renderers: a tape becomes text through Jinja templates, which hold loops and flags over ready-made strings."""
