-- What the planner knows. Only it writes here, one at a time, under its lease.

CREATE TABLE planner (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    holder  TEXT    NOT NULL,
    token   INTEGER NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

CREATE TABLE docs (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- The events that a document will need again: retention leaves them.
CREATE TABLE doc_events (
    kind TEXT    NOT NULL,
    id   TEXT    NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (kind, id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX doc_events_seq ON doc_events (seq);

CREATE TABLE timers (
    id    TEXT PRIMARY KEY,
    due   INTEGER NOT NULL,
    event INTEGER,
    text  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due, id);
CREATE INDEX timers_event ON timers (event) WHERE event IS NOT NULL;

-- What each rule did about an event.
CREATE TABLE whys (
    n       INTEGER PRIMARY KEY,
    event   INTEGER NOT NULL,
    rule    TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    note    TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
CREATE INDEX whys_event ON whys (event);
