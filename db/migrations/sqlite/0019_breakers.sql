-- +goose Up
-- Which calls to platforms fail for post after post. Rows of calls that succeed again are deleted.
CREATE TABLE breakers (
    name       VARCHAR(120) NOT NULL PRIMARY KEY,
    platform   VARCHAR(20) NOT NULL,
    op         VARCHAR(100) NOT NULL,
    posts      TEXT NOT NULL,
    message    VARCHAR(200) NOT NULL,
    failed_at  TIMESTAMP NOT NULL,
    opened_at  TIMESTAMP,
    probe_at   TIMESTAMP,
    probes     INT NOT NULL DEFAULT 0,
    probe_lane VARCHAR(64) NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE breakers;
