-- What a release does beside its lines, and later than its instant.

-- Branches that move with a target and to a commit of their own.
create table release_move (
    release text not null references release (id),
    line text not null references line (id),     -- with the tag: the target
    tag text not null,
    branch text not null,
    moved_by text not null check (moved_by in ('tag', 'forward')), -- the tag stands on it, or it gets what older lines ship
    "from" text not null,                        -- where it is in public
    "to" text not null,                          -- where it goes
    primary key (release, line, tag, branch)
) strict, without rowid;

-- When the hooks of a frozen release are due that run before its instant.
create table release_hook (
    release text not null references release (id),
    name text not null,                          -- in the project's configuration at the freezing
    at_minutes integer not null check (at_minutes < 0), -- after the instant: before it
    primary key (release, name)
) strict, without rowid;

-- Each call of a hook before the instant, and of what undoes one.
create table hook_call (
    id integer primary key,
    release text not null references release (id),
    name text not null,
    undoes text,                                 -- the hook it undoes; null for one at its own time
    at_minutes integer,                          -- of one at its own time
    undone_by text,                              -- the hook that undoes it
    "case" text not null references "case" (id), -- the case under whose key the hook is sealed
    hook blob not null,                          -- sealed: where it leads, and what undoes it
    repeats integer not null check (repeats in (0, 1)), -- whether a receiver can tell a repetition
    state text not null check (state in ('pending', 'started', 'done', 'unknown', 'failed', 'given_up')),
    key text not null unique,                    -- idempotency key
    attempts integer not null default 0,
    retry_at integer,                            -- not to be looked at again before
    note text not null default '',               -- what happened, in words free of case text
    told integer not null default 0 check (told in (0, 1)), -- whether people were called because of it
    started_at integer,
    done_at integer,
    closed integer not null default 0 check (closed in (0, 1)), -- undone, or over: it stands for nothing any more
    check ((undoes is null) = (at_minutes is not null))
) strict;
create index hook_call_open on hook_call (release) where closed = 0;
