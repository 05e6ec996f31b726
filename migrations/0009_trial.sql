-- Pushes of a release that were tried on the public repositories without sending anything: the last of each.
create table trial (
    release text not null references release (id),
    upstream text not null references upstream (id),
    outcome text not null check (outcome in ('fine', 'refused', 'silent')),
    rules text not null,                         -- what the forge's rules have against the push, a line each
    tried_at integer not null,
    primary key (release, upstream)
) strict, without rowid;
