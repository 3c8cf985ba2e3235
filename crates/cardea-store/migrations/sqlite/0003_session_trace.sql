-- Where the session's steps hang in a trace, as in the header `traceparent`. Null if nobody collected traces when it was
-- requested.
alter table session add column trace text;
