"""The report's contents: which picture stands where, and the sentence beside it with its n and its test."""
