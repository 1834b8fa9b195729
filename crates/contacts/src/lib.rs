//! Contacts and their identities in Kabar.
