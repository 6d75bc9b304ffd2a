"""The database. All SQL is here."""
