-- Deliveries. The row that changes with every attempt is narrow; what is read only to render stands beside it.

CREATE TABLE deliveries (
    n             INTEGER PRIMARY KEY,  -- the order of planning
    id            TEXT    NOT NULL UNIQUE,
    event         INTEGER NOT NULL,
    rule          TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    destination   TEXT    NOT NULL,
    act           TEXT    NOT NULL,
    lane          TEXT,
    due           INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    next          INTEGER NOT NULL,     -- when to try, or when the lease of the present attempt ends
    attempts      INTEGER NOT NULL,
    first_attempt INTEGER,
    counts_from   INTEGER,
    plain         INTEGER NOT NULL,
    last_error    TEXT,
    created       INTEGER NOT NULL,
    finished      INTEGER,
    token         INTEGER NOT NULL,
    started       INTEGER,
    lost          INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (destination, next) WHERE state IN ('due', 'retrying');
CREATE INDEX deliveries_sending ON deliveries (destination, next) WHERE state = 'sending';
CREATE INDEX deliveries_lane ON deliveries (lane, n) WHERE lane IS NOT NULL AND state IN ('due', 'sending', 'retrying');
CREATE INDEX deliveries_finished ON deliveries (state, finished) WHERE state IN ('delivered', 'dead', 'cancelled');
CREATE INDEX deliveries_event ON deliveries (event);

CREATE TABLE contents (
    n          INTEGER PRIMARY KEY REFERENCES deliveries (n) ON DELETE CASCADE,
    assignment TEXT NOT NULL,
    message    TEXT
) STRICT;

-- The events beside its own that a delivery renders: a digest's.
CREATE TABLE delivery_events (
    n   INTEGER NOT NULL REFERENCES deliveries (n) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    PRIMARY KEY (n, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_events_seq ON delivery_events (seq);

CREATE TABLE attempts (
    n       INTEGER NOT NULL REFERENCES deliveries (n) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    outcome TEXT    NOT NULL,
    sent    TEXT    NOT NULL,
    answer  TEXT    NOT NULL,
    PRIMARY KEY (n, number)
) STRICT;

-- What a case at one destination remembers of its messages, for longer than they are kept.
CREATE TABLE lanes (
    lane    TEXT PRIMARY KEY,
    receipt TEXT,
    shown   INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_used ON lanes (used);

CREATE TABLE paces (
    destination TEXT PRIMARY KEY,
    pace        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
