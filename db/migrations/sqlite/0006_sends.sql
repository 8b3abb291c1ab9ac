-- +goose Up
-- Whether a recorded call can make its post live. The default is true, so a call that no step
-- declares harmless, or that the previous release recorded, is treated as one that can.
ALTER TABLE ledger ADD COLUMN sends BOOLEAN NOT NULL DEFAULT TRUE;
-- Opening a file upload and creating a container make nothing live.
UPDATE ledger SET sends = FALSE WHERE op IN ('tiktok.init', 'instagram.create_container');

-- +goose Down
ALTER TABLE ledger DROP COLUMN sends;
