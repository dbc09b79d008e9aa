"""Word files (.docx), and the recognition of any file that a person chooses.

``files.read_file`` reads a Word file or a text file, and refuses files of other kinds. ``reader.read_manuscript`` reads
a Word file into the Markdown of an edition, and reports what did not become part of it.
``instrument.write_instrument`` writes an instrument of amendment. The last two use python-docx (the extra ``docx``).
The reader uses the error of ``agreement.text.source``. ``writer`` writes editions, their changes and comparative
tables, without a library.
"""
