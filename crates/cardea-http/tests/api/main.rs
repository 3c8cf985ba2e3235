//! The API as its clients see it: requests in, answers out, against a real application on SQLite whose hosts are maps.

mod approval;
mod authorisation;
mod csrf;
mod events;
mod explain;
mod factor;
mod fresh;
mod input;
mod invitation;
mod launch;
mod log;
mod matrix;
mod metrics;
mod notice;
mod object;
mod passkey;
mod password;
mod people;
mod problem;
mod request;
mod review;
mod roles;
mod session;
mod sign_in;
mod sign_ins;
mod world;
