-- Dress rehearsals: the whole disclosure of a release performed on copies and stand-ins, the last one of each release.
create table dress (
    release text primary key references release (id),
    plan integer not null,                       -- the release's version it was made of
    outcome text not null check (outcome in ('fine', 'trouble', 'waiting')),
    note text not null,                          -- what went wrong, or what it waits for, in words free of case text
    steps integer not null,                      -- effects performed
    milliseconds integer not null,               -- from the first effect to the last
    tried_at integer not null,
    check ((outcome = 'fine') = (note = ''))
) strict, without rowid;
