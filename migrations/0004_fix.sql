-- Fixes: the branch fix/<line> of a case, its approvals and the pushes that made it.

create table fix (
    id text primary key,
    "case" text not null references "case" (id),
    line text not null references line (id),
    kind text not null check (kind in ('fix', 'tests')), -- fix/<line>, or tests/<line>: what becomes public later
    head text,                                   -- commit id; null while nothing is pushed
    pushed_by text references person (id),
    pushed_at integer,
    version integer not null default 0,
    unique ("case", line, kind)
) strict;

-- An approval holds for one commit only: a new head leaves it behind.
create table approval (
    fix text not null references fix (id),
    head text not null,
    person text not null references person (id),
    approved_at integer not null,
    counts_at integer not null,                  -- later than approved_at for a volunteer's own push
    primary key (fix, head, person)
) strict;

-- What people say of a case on a line. No row: nobody has said anything yet.
create table mark (
    "case" text not null references "case" (id),
    line text not null references line (id),
    standing text not null check (standing in ('affected', 'not_affected', 'wont_fix')),
    person text not null references person (id), -- who said so last
    marked_at integer not null,
    version integer not null default 0,
    primary key ("case", line)
) strict;

-- A push that pre-receive let through. Settled by post-receive, or by the sweep when that was lost.
create table push (
    id text primary key,
    "case" text references "case" (id),
    release text references release (id),
    upstream text not null references upstream (id),
    person text not null references person (id),
    state text not null check (state in ('intended', 'settled', 'void')),
    intended_at integer not null,
    settled_at integer,
    version integer not null default 0,
    check (("case" is null) <> (release is null))
) strict;
create index push_unsettled on push (state) where state = 'intended';

create table push_ref (
    push text not null references push (id),
    ref text not null,
    old text not null,                           -- commit id, forty zeros for a new ref
    new text not null,                           -- commit id, forty zeros for a deletion
    primary key (push, ref)
) strict;
