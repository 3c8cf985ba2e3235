-- A line of the log comes with its session, in the same unit, which holds that or has its version guarded; and there are ten of a
-- life. So each is not looked up again by itself, nor its words, which are written by their types only.
alter table session_log drop constraint session_log_of_session;
alter table session_log drop constraint session_log_level_known;
alter table session_log drop constraint session_log_stage_known;

-- Each step of a session writes an entry into every index. Who holds a claimed session is asked only of those that are due.
drop index session_claimed;
