-- +goose Up
-- Whether a recorded call can make its post live. True unless the program says
-- otherwise, so a call that nobody described, or that the previous release wrote, is
-- treated with caution.
ALTER TABLE ledger ADD COLUMN sends BOOLEAN NOT NULL DEFAULT TRUE;
-- Opening an upload of a file and making a container make nothing live.
UPDATE ledger SET sends = FALSE WHERE op IN ('tiktok.init', 'instagram.create_container');

-- +goose Down
ALTER TABLE ledger DROP COLUMN sends;
