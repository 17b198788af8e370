"""The claims justtrades makes, each one a test."""
