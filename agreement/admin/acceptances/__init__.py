"""Acceptances at the desk: ``register`` lists them, ``reports`` who has not accepted, ``evidence`` exports proof."""
