"""The admin of acceptances: ``register`` lists and records them, ``reports`` counts them, and ``evidence`` exports
evidence.
"""
