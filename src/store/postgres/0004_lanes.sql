-- Whether the case of a lane has ended: retention takes such a lane as it takes dead deliveries, others a year later.

ALTER TABLE lanes ADD COLUMN ended boolean NOT NULL DEFAULT false;
CREATE INDEX lanes_ended ON lanes (used) WHERE ended;
