-- Projects as the configuration names them, and what is known of their public repositories.

create table project (
    id text primary key,                         -- short name in URLs
    prefix text not null unique,                 -- of case ids
    name text not null,
    team text not null check (team in ('several', 'solo')),
    next_case integer not null default 1,
    next_release integer not null default 1,
    next_advisory integer not null default 1,
    version integer not null default 0
) strict;

create table upstream (
    id text primary key,
    project text not null references project (id),
    name text not null,                          -- in remote URLs: /<CASE>/<name>
    url text not null,
    state text not null default 'unknown' check (state in ('unknown', 'ok', 'down', 'moved', 'empty', 'rewritten')),
    note text not null default '',               -- a sentence for the project page
    checked_at integer,
    retired_at integer,                          -- no longer in the configuration
    version integer not null default 0,
    unique (project, name)
) strict;

-- A line has an id of its own: repository and branch are attributes, so that it survives a rename upstream.
create table line (
    id text primary key,
    upstream text not null references upstream (id),
    branch text not null,                        -- short name of the public branch
    position integer not null,                   -- order in the configuration
    retired_at integer,
    version integer not null default 0,
    unique (upstream, branch)
) strict;

create table team_member (
    project text not null references project (id),
    person text not null references person (id),
    role text not null check (role in ('reporter', 'guest', 'auditor', 'triager', 'fixer', 'reviewer', 'release_manager')),
    joined_at integer not null,
    left_at integer,
    version integer not null default 0,
    primary key (project, person)
) strict;
