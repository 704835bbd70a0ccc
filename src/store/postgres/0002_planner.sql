-- What the planner knows. Only it writes here, one at a time, under its lease.

-- Who may plan, and how far the inbox is planned. A commit locks this row and looks at the token.
CREATE TABLE planner (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    holder  text   NOT NULL,
    token   bigint NOT NULL,
    until   bigint NOT NULL,
    planned bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO planner (holder, token, until, planned) VALUES ('', 0, 0, 0);

CREATE TABLE docs (
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (kind, id)
);

-- The events that a document will need again: retention leaves them.
CREATE TABLE doc_events (
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    seq  bigint NOT NULL,
    PRIMARY KEY (kind, id, seq)
);
CREATE INDEX doc_events_seq ON doc_events (seq);

CREATE TABLE timers (
    id    text COLLATE "C" PRIMARY KEY,
    due   bigint NOT NULL,
    event bigint,
    text  text NOT NULL
);
CREATE INDEX timers_due ON timers (due, id);
CREATE INDEX timers_event ON timers (event) WHERE event IS NOT NULL;

-- What each rule did about an event.
CREATE TABLE whys (
    n       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   bigint NOT NULL,
    rule    text   NOT NULL,
    outcome text   NOT NULL,
    note    text   NOT NULL,
    detail  text   NOT NULL
);
CREATE INDEX whys_event ON whys (event);
