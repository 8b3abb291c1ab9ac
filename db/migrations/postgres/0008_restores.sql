-- +goose Up
-- The discoveries that this database may lack calls that were made: it was restored from a
-- backup, or is a replica without the newest changes.
CREATE TABLE restores (
    id       BIGSERIAL    PRIMARY KEY,
    as_of    TIMESTAMPTZ  NOT NULL,
    found_at TIMESTAMPTZ  NOT NULL,
    reason   VARCHAR(50)  NOT NULL,
    beyond   BIGINT       NOT NULL,
    evidence VARCHAR(255) NOT NULL DEFAULT ''
);

-- Which database this is, as it last knew itself: one row. Empty: no process that compares
-- it has run here yet.
CREATE TABLE installation (
    id       SMALLINT     PRIMARY KEY,
    identity VARCHAR(200) NOT NULL,
    -- The newest of the recorded calls that were erased, with the posts of an account.
    erased_seq BIGINT     NOT NULL DEFAULT 0,
    erased_at  TIMESTAMPTZ
);
INSERT INTO installation (id, identity) VALUES (1, '');

ALTER TABLE posts ADD COLUMN restore_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE posts ADD COLUMN held_reason VARCHAR(50) NOT NULL DEFAULT '';
-- How the platform refused a call for good; empty if it did not.
ALTER TABLE ledger ADD COLUMN refusal VARCHAR(50) NOT NULL DEFAULT '';
CREATE INDEX posts_held ON posts (id) WHERE admission = 'held';

-- What of this server and this table tells one state of the database from another: each
-- table that a restore makes again has another oid, and a standby that is promoted,
-- or a recovery to a point in time, begins another timeline. A part that this server does
-- not show is empty.
-- +goose StatementBegin
CREATE FUNCTION socialqueue_place() RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    timeline TEXT := '';
BEGIN
    BEGIN
        timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
    EXCEPTION WHEN OTHERS THEN
        timeline := '';
    END;
    RETURN 'posts'::regclass::oid || '/' || timeline;
END $$;
-- +goose StatementEnd

-- The whole identity: the cluster and the database in it besides.
-- +goose StatementBegin
CREATE FUNCTION socialqueue_identity() RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    cluster TEXT := '';
BEGIN
    BEGIN
        SELECT system_identifier::TEXT INTO cluster FROM pg_control_system();
    EXCEPTION WHEN OTHERS THEN
        cluster := '';
    END;
    RETURN cluster || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || socialqueue_place();
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION socialqueue_identity();
DROP FUNCTION socialqueue_place();
DROP INDEX posts_held;
ALTER TABLE ledger DROP COLUMN refusal;
ALTER TABLE posts DROP COLUMN held_reason;
ALTER TABLE posts DROP COLUMN restore_id;
DROP TABLE installation;
DROP TABLE restores;
