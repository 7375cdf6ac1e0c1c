"""What a network learns: groups, expressions, operation tables, element encodings, datasets."""
