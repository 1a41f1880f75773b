"""The verbs that keep a collector safe and well: copies, and the doctor."""
