"""What a network learns: groups, expressions, operation tables, encodings of the elements, datasets."""
