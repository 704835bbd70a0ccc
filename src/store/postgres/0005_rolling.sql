-- The schema that a program must know at least to use this database: what a newer one only adds to it, an older one need
-- not know. So replicas of a version and of the next run at once.
ALTER TABLE fanfare ADD COLUMN oldest bigint NOT NULL DEFAULT 4;
