"""The redline: what changed between two texts, clause by clause and word by word.

``changes`` pairs the clauses and gives a :class:`Redline`; ``words`` compares two clauses; ``table`` lays a redline
out as the comparative table of lawyers; ``sentences`` writes it in words and as plain text. They use the clauses of a
text.
"""
