-- Tests that become public later than the fix they belong to.

-- What puts the tests of a release onto one public line. Made when the release is done.
create table landing (
    release text not null references release (id),
    line text not null references line (id),
    upstream text not null references upstream (id),
    state text not null check (state in ('waiting', 'checking', 'pushing', 'stuck', 'done', 'never')),
    due_at integer,                              -- null while nobody said when
    base text,                                   -- the public tip it was put onto
    "commit" text,                               -- what was made of that, and is pushed
    checked integer not null default 0 check (checked in (0, 1)), -- whether the checks once spoke for it
    attempts integer not null default 0,
    retry_at integer,                            -- not to be tried again before
    note text not null default '',               -- what happened, in words free of case text
    done_at integer,
    version integer not null default 0,
    primary key (release, line),
    check ((base is null) = ("commit" is null)),
    check (state not in ('checking', 'pushing') or "commit" is not null),
    check (state in ('never', 'stuck', 'done') or due_at is not null),
    check ((state = 'done') = (done_at is not null))
) strict, without rowid;
create index landing_open on landing (state, due_at);
