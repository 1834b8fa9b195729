//! Foundations of Kabar: typed ids, time and randomness ports, scopes, pages, phone numbers.
