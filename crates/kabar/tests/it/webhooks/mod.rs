//! Webhooks out, end to end, on both databases.

mod bed;
mod catalogue;
mod crash;
mod guard;
mod isolation;
mod limits;
mod order;
mod resend;
mod road;
