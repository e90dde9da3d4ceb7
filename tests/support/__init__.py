"""What several test folders share: builders, fakes and waits. Keyword-only functions that give one plain thing each."""
