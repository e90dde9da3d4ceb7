"""Real Redis or Valkey servers for tests."""
