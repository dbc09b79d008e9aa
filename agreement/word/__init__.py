"""Word files (.docx).

``reader.read_manuscript`` reads a file into the Markdown of an edition, and reports what did not become part of it.
It uses python-docx (the extra ``docx``) and the error of ``agreement.text.source``. ``writer`` writes editions, their
changes and comparative tables, without a library.
"""
