"""The Lambda function that writes every change into the append-only history table."""
