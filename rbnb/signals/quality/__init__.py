"""Data quality: what may be wrong with a column or a row, since when, and in which slice."""
