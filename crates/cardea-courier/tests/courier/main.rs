//! The courier against real receivers: a mail server that keeps what it gets, and a web server that checks what it is sent.

mod mail;
mod webhook;
