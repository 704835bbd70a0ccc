-- What came, what rules did about it and what was planned to be sent, by the hour: counted while it is planned, so that no
-- chart counts rows. Only who plans writes here, one at a time. Hours are forgotten 31 days after they began.

CREATE TABLE tallies (
    hour bigint NOT NULL,             -- when it began
    what bigint NOT NULL,             -- 0 events, 1 decisions, 2 deliveries
    name text   COLLATE "C" NOT NULL, -- the source of events, else the rule
    kind text   COLLATE "C" NOT NULL, -- the type of events, the outcome of decisions
    n    bigint NOT NULL,
    last bigint NOT NULL,             -- when the newest of them came
    PRIMARY KEY (hour, what, name, kind)
) WITH (fillfactor = 50);

-- Of what is there, the newest.
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT received / 3600000 * 3600000, 0, source, type, count(*), max(received) FROM inbox, planner
 WHERE what = 0 AND seq > planned - 20000 AND seq <= planned GROUP BY 1, 3, 4;
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT i.received / 3600000 * 3600000, 1, w.rule, w.outcome, count(*), max(i.received)
  FROM whys AS w JOIN inbox AS i ON i.seq = w.event
 WHERE i.what = 0 AND w.event > (SELECT planned FROM planner) - 20000
   AND i.seq > (SELECT planned FROM planner) - 20000 GROUP BY 1, 3, 4;
INSERT INTO tallies (hour, what, name, kind, n, last)
SELECT created / 3600000 * 3600000, 2, rule, '', count(*), max(created) FROM deliveries
 WHERE n > (SELECT max(n) FROM deliveries) - 20000 GROUP BY 1, 3;

CREATE FUNCTION tally_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (hour, what, name, kind, n, last)
    SELECT i.received / 3600000 * 3600000, 0, i.source, i.type, count(*), max(i.received) FROM inbox AS i
     WHERE i.what = 0 AND i.seq > old.planned AND i.seq <= new.planned GROUP BY 1, 3, 4
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = t.n + excluded.n, last = greatest(t.last, excluded.last);
    DELETE FROM tallies AS t WHERE t.hour < (SELECT i.received FROM inbox AS i WHERE i.seq = new.planned) - 2678400000;
    RETURN NULL;
END $$;
CREATE TRIGGER tallies_events AFTER UPDATE OF planned ON planner
    FOR EACH ROW WHEN (new.planned > old.planned) EXECUTE FUNCTION tally_events();

CREATE FUNCTION tally_whys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (hour, what, name, kind, n, last)
    SELECT i.received / 3600000 * 3600000, 1, w.rule, w.outcome, count(*), max(i.received)
      FROM added AS w JOIN inbox AS i ON i.seq = w.event WHERE i.what = 0 GROUP BY 1, 3, 4
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = t.n + excluded.n, last = greatest(t.last, excluded.last);
    RETURN NULL;
END $$;
CREATE TRIGGER tallies_whys AFTER INSERT ON whys
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_whys();

CREATE FUNCTION tally_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (hour, what, name, kind, n, last)
    SELECT d.created / 3600000 * 3600000, 2, d.rule, '', count(*), max(d.created) FROM added AS d GROUP BY 1, 3
    ON CONFLICT (hour, what, name, kind) DO UPDATE SET n = t.n + excluded.n, last = greatest(t.last, excluded.last);
    RETURN NULL;
END $$;
CREATE TRIGGER tallies_deliveries AFTER INSERT ON deliveries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_deliveries();
