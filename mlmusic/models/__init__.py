"""The course's models, one family a module, each preceded by the notebook that builds it."""
