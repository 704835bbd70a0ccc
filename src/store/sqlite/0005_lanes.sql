-- Whether the case of a lane has ended (1), or was closed (2): retention takes such a lane as it takes dead deliveries,
-- others a year later.

ALTER TABLE lanes ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
CREATE INDEX lanes_ended ON lanes (used) WHERE ended > 0;
