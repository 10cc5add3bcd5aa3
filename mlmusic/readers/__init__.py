"""Readers of the corpus's file formats: ``musicxml`` and ``abc``, small and exact."""
