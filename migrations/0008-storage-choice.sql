-- What the worker keeps volumes on and why, found out by doing at its start: { kind, tried }. For people, never for deciding.

alter table installation add column storage jsonb;
