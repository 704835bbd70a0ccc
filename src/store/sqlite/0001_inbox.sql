-- The inbox: what was received, was asked for or was noticed, in one order. Times are milliseconds since 1970.

-- Single values by name.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES
    ('planned', 0),             -- the inbox is planned up to here
    ('indexed', 0),             -- the ids of events up to here stand in ids_WEEK tables, later ones in memory
    ('id_key', randomblob(16)), -- what event ids are hashed with, so that no sender can choose their hashes
    ('probes', 0);              -- grows with each probe: a write that changes nothing else

-- Append-only, and nothing else is written before a request is answered: no second index stands on it, duplicates are
-- known by memory and by the ids_WEEK tables.
CREATE TABLE inbox (
    seq      INTEGER PRIMARY KEY,
    what     INTEGER NOT NULL,  -- 0 an event, 1 a command, 2 a signal
    source   TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    received INTEGER NOT NULL,
    proof    TEXT    NOT NULL,
    body     INTEGER NOT NULL,  -- the first eight bytes of the SHA-256 of raw: tells damage, and another body
    raw      BLOB    NOT NULL
) STRICT;

-- ids_WEEK (h, seq, c, body): the ids received in one week since 1970, made as weeks come and dropped whole. h is the
-- hash of the id, c that of source and id. Here for those who read the schema; the tables are made by the program.

-- What came with a known id and another body.
CREATE TABLE conflicts (
    n        INTEGER PRIMARY KEY,
    of       INTEGER NOT NULL,
    received INTEGER NOT NULL,
    raw      BLOB    NOT NULL
) STRICT;
CREATE INDEX conflicts_of ON conflicts (of);
