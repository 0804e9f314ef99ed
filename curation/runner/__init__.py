"""Plans units, commits them, resumes, checks conservation. The only place that does."""
