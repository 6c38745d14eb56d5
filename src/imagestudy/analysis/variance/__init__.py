"""Where the spread between runs comes from, what would decide, and what peeking at the test set does."""
