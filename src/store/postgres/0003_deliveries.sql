-- Deliveries. The row that changes with every attempt is narrow; what is read only to render stands beside it.

CREATE TABLE deliveries (
    n             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order of planning
    id            text   NOT NULL UNIQUE,
    event         bigint NOT NULL,
    rule          text   NOT NULL,
    action        text   NOT NULL,
    destination   text   COLLATE "C" NOT NULL,
    act           text   NOT NULL,
    lane          text,
    due           bigint NOT NULL,
    state         text   NOT NULL,
    next          bigint NOT NULL,     -- when to try, or when the lease of the present attempt ends
    attempts      bigint NOT NULL,
    first_attempt bigint,
    counts_from   bigint,
    plain         boolean NOT NULL,
    last_error    text,
    created       bigint NOT NULL,
    finished      bigint,
    token         bigint NOT NULL,
    started       bigint,
    lost          bigint NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX deliveries_open ON deliveries (destination, next, n) WHERE state IN ('due', 'retrying', 'sending');
CREATE INDEX deliveries_sending ON deliveries (destination, next) WHERE state = 'sending';
CREATE INDEX deliveries_lane ON deliveries (lane, n) WHERE lane IS NOT NULL AND state IN ('due', 'retrying', 'sending');
CREATE INDEX deliveries_finished ON deliveries (state, finished) WHERE state IN ('delivered', 'dead', 'cancelled');
CREATE INDEX deliveries_event ON deliveries (event);

CREATE TABLE contents (
    n          bigint PRIMARY KEY,
    assignment text NOT NULL,
    message    text
);

-- The events beside its own that a delivery renders: a digest's.
CREATE TABLE delivery_events (
    n   bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (n, seq)
);
CREATE INDEX delivery_events_seq ON delivery_events (seq);

CREATE TABLE attempts (
    n       bigint NOT NULL,
    number  bigint NOT NULL,
    at      bigint NOT NULL,
    took_ms bigint NOT NULL,
    outcome text   NOT NULL,
    sent    text   NOT NULL,
    answer  text   NOT NULL,
    PRIMARY KEY (n, number)
);

-- What a case at one destination remembers of its messages, for longer than they are kept.
CREATE TABLE lanes (
    lane    text PRIMARY KEY,
    receipt text,
    shown   boolean NOT NULL,
    used    bigint NOT NULL
);
CREATE INDEX lanes_used ON lanes (used);

-- How a destination stands; no pace while nothing was sent there. Whoever claims for it, or changes its pace, locks its
-- row first: so its limits hold over all replicas.
CREATE TABLE paces (
    destination text COLLATE "C" PRIMARY KEY,
    pace        text
) WITH (fillfactor = 50);
