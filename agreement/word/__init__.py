"""Word files (.docx).

``reader.read_manuscript`` reads a file into the Markdown of an edition, and reports what did not become part of it.
``instrument.write_instrument`` writes an instrument of amendment. Both use python-docx (the extra ``docx``), and the
reader uses the error of ``agreement.text.source``. ``writer`` writes editions, their changes and comparative tables,
without a library.
"""
