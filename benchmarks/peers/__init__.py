"""What a user would write instead, written well."""
