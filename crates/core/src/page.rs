//! Cursor pages: every list is paged, none counts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Where a page ended; opaque on the wire. Lists are ordered by id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Uuid);

/// A text that no page handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`after` is not a cursor of this list; use the `next` value of the previous page")]
pub struct ParseCursorError;

impl Cursor {
    /// The cursor after the row with this id.
    pub const fn after(id: Uuid) -> Self {
        Self(id)
    }

    /// The last row's id.
    pub const fn id(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseCursorError)?;
        Uuid::from_slice(&bytes).map(Self).map_err(|_| ParseCursorError)
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows at most, 1 to [`PageRequest::MOST`].
    pub limit: u16,
    /// Rows after this one.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// The most rows a page can have.
    pub const MOST: u16 = 200;
    /// The rows of a page when nothing is said.
    pub const USUAL: u16 = 50;

    /// A page of at most `limit` rows, cut to what a page can have.
    pub fn new(limit: Option<u16>, after: Option<Cursor>) -> Self {
        Self { limit: limit.unwrap_or(Self::USUAL).clamp(1, Self::MOST), after }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::new(None, None)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page from rows that were asked for with one more than the limit.
    pub fn from_rows(mut items: Vec<T>, request: PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::from(request.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|row| Cursor::after(id(row))) } else { None };
        Self { items, next }
    }

    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let ids: Vec<Uuid> = (0..3).map(Uuid::from_u128).collect();
        let request = PageRequest::new(Some(3), None);
        assert_eq!(Page::from_rows(ids.clone(), request, |id| *id).next, None);
        let request = PageRequest::new(Some(2), None);
        let page = Page::from_rows(ids, request, |id| *id);
        assert_eq!(page.items.len(), 2);
        let next = page.next.expect("there is more");
        assert_eq!(next.to_string().parse(), Ok(next));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        assert!("abc".parse::<Cursor>().is_err());
        assert!("".parse::<Cursor>().is_err());
    }
}
