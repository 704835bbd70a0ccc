-- What came, what rules did about it and what was planned to be sent, by the hour: counted while it is planned, so that no
-- chart counts rows. Hours are forgotten 31 days after they began.

CREATE TABLE tallies (
    hour INTEGER NOT NULL,  -- when it began
    what INTEGER NOT NULL,  -- 0 events, 1 decisions, 2 deliveries
    name TEXT    NOT NULL,  -- the source of events, else the rule
    kind TEXT    NOT NULL,  -- the type of events, the outcome of decisions
    n    INTEGER NOT NULL,
    last INTEGER NOT NULL,  -- when the newest of them came
    PRIMARY KEY (hour, what, name, kind)
) STRICT, WITHOUT ROWID;

-- Of what is there, the newest.
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT received / 3600000 * 3600000, 0, source, type, count(*), max(received) FROM inbox
 WHERE what = 0 AND seq > (SELECT value FROM meta WHERE name = 'planned') - 20000
   AND seq <= (SELECT value FROM meta WHERE name = 'planned') GROUP BY 1, 3, 4;
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT i.received / 3600000 * 3600000, 1, w.rule, w.outcome, count(*), max(i.received)
  FROM whys AS w CROSS JOIN inbox AS i ON i.seq = w.event
 WHERE i.what = 0 AND w.event > (SELECT value FROM meta WHERE name = 'planned') - 20000 GROUP BY 1, 3, 4;
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT created / 3600000 * 3600000, 2, rule, '', count(*), max(created) FROM deliveries
 WHERE n > (SELECT max(n) FROM deliveries) - 20000 GROUP BY 1, 3;

CREATE TRIGGER tallies_events AFTER UPDATE OF value ON meta WHEN new.name = 'planned' AND new.value > old.value
BEGIN
    INSERT INTO tallies (hour, what, name, kind, n, last)
    SELECT received / 3600000 * 3600000, 0, source, type, count(*), max(received) FROM inbox
     WHERE what = 0 AND seq > old.value AND seq <= new.value GROUP BY 1, 3, 4
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = n + excluded.n, last = max(last, excluded.last);
    DELETE FROM tallies WHERE hour < (SELECT received FROM inbox WHERE seq = new.value) - 2678400000;
END;
CREATE TRIGGER tallies_whys AFTER INSERT ON whys
BEGIN
    INSERT INTO tallies (hour, what, name, kind, n, last)
    SELECT received / 3600000 * 3600000, 1, new.rule, new.outcome, 1, received FROM inbox
     WHERE seq = new.event AND what = 0
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = n + 1, last = max(last, excluded.last);
END;
CREATE TRIGGER tallies_deliveries AFTER INSERT ON deliveries
BEGIN
    INSERT INTO tallies (hour, what, name, kind, n, last)
    VALUES (new.created / 3600000 * 3600000, 2, new.rule, '', 1, new.created)
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = n + 1, last = max(last, excluded.last);
END;
