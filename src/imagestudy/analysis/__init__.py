"""One package a question: which runs it needs, records → tables and findings, findings → sentences."""
