//! Texts as rules compare them.

mod characters;
mod fold;
mod normalise;

pub(crate) use characters::{is_blank, is_sentence_mark, is_word};
pub(crate) use fold::{Folded, Sides};
