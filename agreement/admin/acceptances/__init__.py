"""The admin of acceptances: ``register`` lists and records them, ``reports`` counts them, ``declines`` lists the
declines, and ``evidence`` exports evidence.
"""
