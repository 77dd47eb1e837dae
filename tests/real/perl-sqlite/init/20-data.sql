INSERT INTO rivers VALUES ('Rhine', 1233), ('Elbe', 1094), ('Oder', 866);
