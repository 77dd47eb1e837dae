CREATE TABLE rivers (name TEXT, km INTEGER);
