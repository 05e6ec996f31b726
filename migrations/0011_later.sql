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
