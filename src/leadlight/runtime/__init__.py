"""All that an embedding application imports: NumPy and the standard library, no training stack."""
