//! `Idempotency-Key`: a retried request makes nothing twice.
//!
//! A key is bound to who asks, the account, the operation and the SHA-256 of the body, and is
//! remembered for [`Once::KEPT_HOURS`] hours by the service that carries the request out, in the same
//! unit of work.

use kabar::Platform;
use kabar::core::{Actor, Once, Scope, Store};
use kabar::events::EventsWork;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::problem::Problem;

/// The header that carries the key.
pub const HEADER: &str = "Idempotency-Key";
/// The header of an answer that repeats an earlier one.
pub const REPLAYED: &str = "Idempotency-Replayed";
/// Characters of a key, at most.
const MOST: usize = 255;

/// The key of a request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceKey(pub Option<String>);

impl OnceKey {
    fn of(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let printable = |byte: &u8| matches!(byte, b' '..=b'~');
        let bytes = value.as_bytes();
        let whole = (1..=MOST).contains(&bytes.len()) && bytes.iter().all(printable);
        match value.to_str() {
            Ok(text) if whole && values.next().is_none() => Ok(Self(Some(text.to_owned()))),
            _ => {
                let problem =
                    format!("must be one value of 1 to {MOST} printable ASCII characters");
                Err(Problem::unreadable(HEADER, problem))
            }
        }
    }

    /// What makes the request the same request: who asks, where, for what, with which body.
    pub fn once(
        self,
        actor: Actor,
        scope: Option<Scope>,
        operation: &'static str,
        body_hash: [u8; 32],
    ) -> Option<Once> {
        let principal = match scope {
            Some(scope) => format!("{actor}@{}", scope.account()),
            None => actor.to_string(),
        };
        self.0.map(|key| Once { principal, operation, key, body_hash })
    }
}

/// Whether the request was carried out before. Services carry a repeated request out by finding
/// what the first one made; this only tells the caller so.
///
/// # Errors
/// 409 while the first request is being carried out, 422 when it had another body.
pub async fn replayed(platform: &Platform, once: Option<&Once>) -> Result<bool, Problem> {
    let Some(once) = once else { return Ok(false) };
    let store: &dyn Store<dyn EventsWork> = &*platform.events();
    // Dropped without a commit: nothing is remembered here.
    let work = store.begin().await?;
    Ok(once.recall::<serde_json::Value>(&*work).await?.is_some())
}

impl<'a> ApiExtractor<'a> for OnceKey {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(MOST),
            pattern: Some("^[ -~]+$".to_owned()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        Ok(Self::of(request)?)
    }
}
