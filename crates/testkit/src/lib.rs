//! Test clock, sequential ids, builders and contract suites of Kabar.
