-- Check runs: the project's workflows on one commit, for a case or for a release.

create table check_run (
    id text primary key,
    "case" text references "case" (id),
    release text references release (id),
    line text not null references line (id),
    head text not null,                          -- the commit under test
    base text not null,                          -- the public tip it was planned against
    state text not null check (state in ('waiting', 'blocked', 'running', 'cancelling', 'success', 'failure', 'cancelled',
        'skipped', 'timed_out', 'lost', 'unsupported', 'needs_approval')),
    note text not null default '',               -- why it could not run, in words free of case text
    queued_at integer not null,
    started_at integer,
    ended_at integer,
    version integer not null default 0,
    check (("case" is null) <> (release is null))
) strict;
create index check_run_by_case on check_run ("case", queued_at);
create index check_run_by_release on check_run (release, queued_at);
create index check_run_by_head on check_run (head);

create table check_job (
    id text primary key,
    run text not null references check_run (id),
    position integer not null,
    name blob not null,                          -- sealed: workflow / job
    required integer not null check (required in (0, 1)),
    state text not null check (state in ('waiting', 'blocked', 'running', 'cancelling', 'success', 'failure', 'cancelled',
        'skipped', 'timed_out', 'lost', 'unsupported', 'needs_approval')),
    reason blob,                                 -- sealed: why it is not run
    started_at integer,
    ended_at integer,
    version integer not null default 0,
    unique (run, position)
) strict;

-- Logs: append-only, sealed in batches of lines, masked before they are sealed.
create table check_log (
    job text not null references check_job (id),
    first_line integer not null,                 -- number of the batch's first line, from 0
    lines integer not null,
    body blob not null,                          -- sealed: lines joined by newlines
    primary key (job, first_line)
) strict;
