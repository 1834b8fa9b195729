//! Cursor pages: every list is paged, none counts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Where a page ended; opaque on the wire. Most lists are ordered by id, newest first; one that is
/// ordered by something else keeps that beside the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    id: Uuid,
    key: Option<i64>,
}

/// A text that no page handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`after` is not a cursor of this list; use the `next` value of the previous page")]
pub struct ParseCursorError;

impl Cursor {
    /// The cursor after the row with this id.
    pub const fn after(id: Uuid) -> Self {
        Self { id, key: None }
    }

    /// The cursor after the row with this id in a list that is ordered by `key` first.
    pub const fn after_key(key: i64, id: Uuid) -> Self {
        Self { id, key: Some(key) }
    }

    /// The last row's id.
    pub const fn id(self) -> Uuid {
        self.id
    }

    /// The last row's key, in a list that is ordered by more than the id.
    pub const fn key(self) -> Option<i64> {
        self.key
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.as_bytes().to_vec();
        bytes.extend(self.key.iter().flat_map(|key| key.to_be_bytes()));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseCursorError)?;
        let (id, key) = bytes.split_at_checked(16).ok_or(ParseCursorError)?;
        let id = Uuid::from_slice(id).map_err(|_| ParseCursorError)?;
        if key.is_empty() {
            return Ok(Self::after(id));
        }
        let key = key.try_into().map_err(|_| ParseCursorError)?;
        Ok(Self::after_key(i64::from_be_bytes(key), id))
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
    pub fn from_rows(items: Vec<T>, request: PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        Self::from_ordered(items, request, |row| Cursor::after(id(row)))
    }

    /// The same for a list that is ordered by more than the id.
    pub fn from_ordered(
        mut items: Vec<T>,
        request: PageRequest,
        cursor: impl Fn(&T) -> Cursor,
    ) -> Self {
        let limit = usize::from(request.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
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
        let keyed = Cursor::after_key(-7, next.id());
        assert_eq!(keyed.to_string().parse(), Ok(keyed));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        assert!("abc".parse::<Cursor>().is_err());
        assert!("".parse::<Cursor>().is_err());
    }
}
