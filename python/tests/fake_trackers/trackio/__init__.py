"""The part of trackio's storage that the mirror uses, with its data in JSON files, for tests without trackio."""
