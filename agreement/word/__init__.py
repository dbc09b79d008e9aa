"""Reads Word files (.docx) and text files, and writes Word files.

``files.read_file`` reads a Word file or a text file, and refuses files of other kinds. ``reader.read_manuscript`` reads
a Word file into the Markdown of an edition, and reports what did not become part of it. ``instrument.write_instrument``
writes an instrument of amendment. The last two use python-docx (the extra ``docx``). ``writer`` writes editions, their
changes and comparative tables, without a library.
"""
