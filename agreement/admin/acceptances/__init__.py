"""The admin of acceptances: ``register`` lists them, ``reports`` counts them, and ``evidence`` exports evidence."""
