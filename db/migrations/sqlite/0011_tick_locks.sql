-- +goose Up
-- Which scheduler runs a tick, and until when its lock lasts without a renewal.
CREATE TABLE tick_locks (
    name  VARCHAR(50) PRIMARY KEY,
    owner VARCHAR(36) NOT NULL,
    until TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE tick_locks;
