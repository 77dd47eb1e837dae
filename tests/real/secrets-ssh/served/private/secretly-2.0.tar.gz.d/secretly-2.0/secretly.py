WORD = "behind a password"
