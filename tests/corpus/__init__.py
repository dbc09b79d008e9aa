"""Agreements for the lint, in words of our own: clean ones, and the same with one defect each."""
