-- `bough branch`: an environment for a bug, without a pull request. What it was branched of, { from, data, snapshotId }; null for
-- all others. Made with the row and never changed: its time is `expires_at`, which no visit or change moves.
alter table environments add column branch_of jsonb;
