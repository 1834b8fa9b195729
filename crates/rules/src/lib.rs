//! Keyword rules for chat messages: exact/contains/begin/end matching, <variable> captures, {variable} rendering.
