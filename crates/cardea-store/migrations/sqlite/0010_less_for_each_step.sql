-- A line of the log comes with its session, in the same unit, which holds that or has its version guarded; and there are ten of a
-- life. So each is not looked up again by itself, nor its words, which are written by their types only.
create table session_log_next (
    session_id text not null,
    line integer not null,
    at integer not null,
    level text not null,
    stage text not null,
    message text not null,
    constraint session_log_pk primary key (session_id, line)
) strict;
insert into session_log_next select session_id, line, at, level, stage, message from session_log;
drop table session_log;
alter table session_log_next rename to session_log;

-- Each step of a session writes an entry into every index. Who holds a claimed session is asked only of those that are due.
drop index session_claimed;
