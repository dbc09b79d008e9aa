"""The admin of acceptances: ``register`` lists and records them, ``reports`` counts them and exports who has not
accepted, ``declines`` lists and exports the declines, and ``evidence`` exports evidence.
"""
