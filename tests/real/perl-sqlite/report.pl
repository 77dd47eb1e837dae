#!/usr/bin/perl
use strict;
use warnings;
use DBI;

my $db = DBI->connect("dbi:SQLite:dbname=$ARGV[0]", "", "", { RaiseError => 1 });
my $rows = $db->selectall_arrayref("SELECT name, km FROM rivers ORDER BY km");
printf "%-6s|%5d\n", @$_ for @$rows;
$db->do("INSERT INTO rivers VALUES ('Spree', 400)");
printf "%d rivers\n", $db->selectrow_array("SELECT count(*) FROM rivers");
