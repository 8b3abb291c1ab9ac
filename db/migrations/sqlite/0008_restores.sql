-- +goose Up
-- The discoveries that this database may lack calls that were made: it was restored from a
-- backup.
CREATE TABLE restores (
    id       INTEGER      PRIMARY KEY AUTOINCREMENT,
    as_of    TIMESTAMP    NOT NULL,
    found_at TIMESTAMP    NOT NULL,
    reason   VARCHAR(50)  NOT NULL,
    beyond   BIGINT       NOT NULL,
    evidence VARCHAR(255) NOT NULL DEFAULT ''
);

-- Which database this is: one row. A copy of the file has the same identity, so only its
-- high-water mark tells whether it is behind.
CREATE TABLE installation (
    id       SMALLINT     PRIMARY KEY,
    identity VARCHAR(200) NOT NULL,
    -- The newest of the recorded calls that were erased, with the posts of an account.
    erased_seq BIGINT     NOT NULL DEFAULT 0,
    erased_at  TIMESTAMP
);
INSERT INTO installation (id, identity) VALUES (1, lower(hex(randomblob(16))));

ALTER TABLE posts ADD COLUMN restore_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE posts ADD COLUMN held_reason VARCHAR(50) NOT NULL DEFAULT '';
-- How the platform refused a call for good; empty if it did not.
ALTER TABLE ledger ADD COLUMN refusal VARCHAR(50) NOT NULL DEFAULT '';
CREATE INDEX posts_held ON posts (id) WHERE admission = 'held';

-- +goose Down
DROP INDEX posts_held;
ALTER TABLE ledger DROP COLUMN refusal;
ALTER TABLE posts DROP COLUMN held_reason;
ALTER TABLE posts DROP COLUMN restore_id;
DROP TABLE installation;
DROP TABLE restores;
