<?php
$db = new PDO('sqlite:/app/data.db');
$db->exec('CREATE TABLE countries (name TEXT PRIMARY KEY, capital TEXT)');
foreach (json_decode(file_get_contents(__DIR__ . '/countries.json')) as $name => $capital) {
    $db->prepare('INSERT INTO countries VALUES (?, ?)')->execute([$name, $capital]);
}
