-- The inbox: what was received, was asked for or was noticed, in one order. Times are milliseconds since 1970.

-- The place that was given last. Whoever appends locks this row until its transaction has ended, so that places become
-- visible in their order: the planner never passes one that is still to come.
CREATE TABLE head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO head (seq) VALUES (0);

CREATE TABLE inbox (
    seq      bigint PRIMARY KEY,
    what     bigint NOT NULL,         -- 0 an event, 1 a command, 2 a signal
    source   text   NOT NULL,
    id       text   NOT NULL,
    type     text   NOT NULL,
    created  bigint NOT NULL,
    received bigint NOT NULL,
    proof    text   NOT NULL,
    body     bigint NOT NULL,         -- the first eight bytes of the SHA-256 of raw: tells damage, and another body
    raw      bytea  NOT NULL          -- as it was signed; never jsonb, which refuses what may be signed
);

-- When any replica noted last that it was there to take events in.
CREATE TABLE alive (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at  bigint
) WITH (fillfactor = 10);
INSERT INTO alive (at) VALUES (NULL);

-- Which ids are known, for longer than their events are kept. h is the SHA-256 of the id, which may be long.
CREATE TABLE ids (
    h      bytea  NOT NULL,
    source text   NOT NULL,
    seq    bigint NOT NULL,
    body   bigint NOT NULL,
    week   bigint NOT NULL,           -- of its receipt, since 1970: ids are forgotten by whole weeks
    PRIMARY KEY (h, source)
);
CREATE INDEX ids_week ON ids USING brin (week) WITH (pages_per_range = 16);

-- What came with a known id and another body.
CREATE TABLE conflicts (
    n        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    of       bigint NOT NULL,
    received bigint NOT NULL,
    raw      bytea  NOT NULL
);
CREATE INDEX conflicts_of ON conflicts (of);
CREATE INDEX conflicts_received ON conflicts (received);
