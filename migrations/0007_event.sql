-- The audit chain and the job queue.

create table event (
    seq integer primary key,                     -- from 1, without gaps
    at integer not null,
    actor_kind text not null check (actor_kind in ('person', 'reporter', 'system')),
    actor text not null,
    kind text not null,
    project text not null default '',
    "case" text not null default '',
    release text not null default '',
    object text not null,
    salt blob,                                   -- with the detail; shredded together
    detail blob,                                 -- sealed
    detail_hash blob not null,                   -- SHA-256 over salt and detail, kept when they are shredded
    hash blob not null                           -- over the previous hash, the plain columns and detail_hash
) strict;
create index event_by_case on event ("case", seq);

create trigger event_is_append_only before update on event
    when new.seq <> old.seq or new.at <> old.at or new.kind <> old.kind or new.actor <> old.actor or new.object <> old.object
        or new.detail_hash <> old.detail_hash or new.hash <> old.hash or new.detail is not null
begin
    select raise(abort, 'events are append-only');
end;
create trigger event_is_never_deleted before delete on event begin
    select raise(abort, 'events are append-only');
end;

create table job (
    id integer primary key autoincrement,
    key text not null,                           -- a second waiting job of the same key is not queued
    payload text not null,                       -- JSON
    state text not null check (state in ('waiting', 'running', 'done', 'halted')),
    due_at integer not null,
    lease_until integer,
    fence integer not null default 0,
    attempts integer not null default 0,
    error text not null default '',
    queued_at integer not null
) strict;
create index job_due on job (state, due_at);
create unique index job_waiting_once on job (key) where state = 'waiting';
