"""The Lambda function that keeps the replica table equal to its source."""
