<?php
$db = new PDO('sqlite:/app/data.db');
$statement = $db->prepare('SELECT capital FROM countries WHERE name = ?');
$statement->execute([$_GET['of'] ?? '']);
echo $statement->fetchColumn() ?: 'unknown', "\n";
