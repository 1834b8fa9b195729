//! Paging through lists by cursor.

use kabar_core::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{GraphClient, GraphError};

/// Entries asked for at once, the most that Meta gives.
const PAGE: &str = "100";
/// Pages read at most: 6,000 templates of a verified portfolio are 60.
const MAX_PAGES: usize = 200;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default)]
    after: Option<String>,
}

impl<T> Page<T> {
    /// The next page's cursor. The address in `next` is not followed: it may hold the token, and
    /// would lead past a proxy.
    fn after(&self) -> Option<String> {
        let paging = self.paging.as_ref()?;
        paging.next.as_ref()?;
        paging.cursors.as_ref()?.after.clone()
    }
}

impl GraphClient {
    /// All entries of a list.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        token: &Secret,
        parts: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, GraphError> {
        let mut entries = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page: Page<T> = self.get(token, parts, &query).await?;
            let next = page.after();
            entries.extend(page.data);
            match next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(entries),
            }
        }
        Err(GraphError::Unreadable(format!("the list has more than {MAX_PAGES} pages")))
    }
}
