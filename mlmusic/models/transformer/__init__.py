"""Transformers: attention written out, a model over tokens, and one over chorales."""
