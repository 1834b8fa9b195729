//! Autoreply rules of Kabar.
