"""One typed client for each service and its witness, and what they share: HTTP, SQL, S3, a mailbox, identities."""
