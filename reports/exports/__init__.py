"""An export of a table by DynamoDB: its folder and its items."""
