"""The redline: what changed between two texts, clause by clause and word by word.

``changes`` pairs the clauses and returns a :class:`Redline`. ``words`` compares two clauses. ``table`` arranges a
redline as a comparative table. ``sentences`` describes it in words and as plain text. ``amendment`` makes the
``operations`` of an amendment from it, with ``places`` and ``phrases``. ``wording`` writes them as a lawyer does.
"""
