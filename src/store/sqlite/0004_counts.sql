-- How many there are of what may be very many, kept as they come and go, so that saying it counts no rows.

CREATE TABLE counts (
    what TEXT PRIMARY KEY,    -- 'timers', or a state of deliveries
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counts (what, n) SELECT 'timers', count(*) FROM timers;
INSERT INTO counts (what, n) SELECT state, count(*) FROM deliveries GROUP BY state;
INSERT OR IGNORE INTO counts (what, n)
VALUES ('due', 0), ('sending', 0), ('retrying', 0), ('delivered', 0), ('dead', 0), ('cancelled', 0);

-- No REPLACE on these tables: it deletes without a trigger.
CREATE TRIGGER timers_more AFTER INSERT ON timers
BEGIN UPDATE counts SET n = n + 1 WHERE what = 'timers'; END;
CREATE TRIGGER timers_fewer AFTER DELETE ON timers
BEGIN UPDATE counts SET n = n - 1 WHERE what = 'timers'; END;

CREATE TRIGGER deliveries_more AFTER INSERT ON deliveries
BEGIN UPDATE counts SET n = n + 1 WHERE what = new.state; END;
CREATE TRIGGER deliveries_fewer AFTER DELETE ON deliveries
BEGIN UPDATE counts SET n = n - 1 WHERE what = old.state; END;
CREATE TRIGGER deliveries_moved AFTER UPDATE OF state ON deliveries WHEN old.state <> new.state
BEGIN
    UPDATE counts SET n = n - 1 WHERE what = old.state;
    UPDATE counts SET n = n + 1 WHERE what = new.state;
END;

-- So that retention finds the old ones without looking at all.
CREATE INDEX conflicts_received ON conflicts (received);
