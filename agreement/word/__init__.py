"""Reads Word files (.docx) and text files, and writes Word files.

``files.read_file`` reads either kind of file. ``reader.read_manuscript`` reads a Word file into the Markdown of an
edition, and reports what did not become part of it. ``instrument.write_instrument`` writes an instrument of amendment.
Reading Word files and writing instruments need python-docx (the extra ``docx``). ``writer`` writes editions, their
changes and comparative tables, without a library.
"""
