-- +goose Up
-- What the probe reads of a file beside its size and duration. Empty and 0 mean unknown, as
-- in the rows of the previous release, which does not know these columns.
ALTER TABLE media ADD COLUMN codec VARCHAR(50) NOT NULL DEFAULT '';
ALTER TABLE media ADD COLUMN frames_per_1000s INT NOT NULL DEFAULT 0;
ALTER TABLE media ADD COLUMN bit_rate BIGINT NOT NULL DEFAULT 0;
ALTER TABLE media ADD COLUMN audio_codec VARCHAR(50) NOT NULL DEFAULT '';
ALTER TABLE media ADD COLUMN audio_rate INT NOT NULL DEFAULT 0;
ALTER TABLE media ADD COLUMN audio_channels INT NOT NULL DEFAULT 0;
ALTER TABLE media ADD COLUMN orientation INT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE media DROP COLUMN orientation;
ALTER TABLE media DROP COLUMN audio_channels;
ALTER TABLE media DROP COLUMN audio_rate;
ALTER TABLE media DROP COLUMN audio_codec;
ALTER TABLE media DROP COLUMN bit_rate;
ALTER TABLE media DROP COLUMN frames_per_1000s;
ALTER TABLE media DROP COLUMN codec;
