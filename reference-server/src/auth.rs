//! From a request to the proof that its caller may do what it asks for.
//!
//! An operation names what it needs in its signature: [`Auth<InAccount<SendMessages>>`](Auth). The
//! extractor is the check: no credential is 401, too small a one 403, an account that is not the
//! caller's 404, and the operation's own code never runs.
//!
//! A provider's credential names the account it acts in with the header `Kabar-Account`. Where users,
//! API keys, events and the audit log are asked for *without* that header, a provider means its own:
//! see [`Anywhere`].

use std::marker::PhantomData;
use std::sync::Arc;

use kabar::Platform;
use kabar::accounts::{Admitted, AuthError, Myself};
use kabar::core::permission::Permit;
use kabar::core::{
    AccountId, Denied, ExposeSecret as _, Grant, InstallationScope, Principal, Scope, Secret,
    SessionId,
};
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::client::ClientAddress;
use crate::limits::Limits;
use crate::problem::Problem;

/// The header with which a provider names the account it acts in.
pub const ACCOUNT_HEADER: &str = "Kabar-Account";
/// The name of the security scheme in the document.
const SCHEME: &str = "bearer";

/// Who asks, and the account that it named.
#[derive(Debug)]
pub struct Caller {
    principal: Principal,
    session: Option<SessionId>,
    account: Option<AccountId>,
}

impl Caller {
    /// The party behind the request's credential.
    ///
    /// # Errors
    /// 401 without a working credential, 403 for one that does not work from where it came, 400 for
    /// a header that is no account's id.
    pub async fn of(request: &Request) -> Result<Self, Problem> {
        let platform = request
            .data::<Platform>()
            .ok_or_else(|| Problem::unavailable("the platform is being started"))?;
        let limits = request.data::<Arc<Limits>>();
        let bearer = bearer(request)?;
        let from = ClientAddress::of(request).0;
        let admitted = platform.authenticator().admit(bearer, from).await;
        let Admitted { principal, session } = admitted.map_err(|error| match error {
            AuthError::Unauthorized => unproven(request, limits),
            error => error.into(),
        })?;
        if let (Some(limits), Some(account)) = (limits, principal.account()) {
            limits.account(account)?;
        }
        let account = named_account(request)?;
        if let (None, Some(named)) = (principal.account(), account) {
            must_exist(platform, named).await?;
        }
        Ok(Self { principal, session, account })
    }
}

/// Refuses an account that is not there; those of accounts have their own.
async fn must_exist(platform: &Platform, account: AccountId) -> Result<(), Problem> {
    const SCOPE: InstallationScope = InstallationScope::system("authentication");
    if platform.accounts().exists(SCOPE, account).await? {
        return Ok(());
    }
    Err(Denied::NoSuchAccount.into())
}

/// What an unknown credential is told; an address that tries many is told to wait.
fn unproven(request: &Request, limits: Option<&Arc<Limits>>) -> Problem {
    let address = ClientAddress::of(request).0;
    if let Some(Err(wait)) = limits.map(|limits| limits.unproven(address)) {
        return wait;
    }
    Problem::unauthorized(
        "this credential does not work: it is unknown, revoked, expired, or of an inactive account",
    )
}

fn bearer(request: &Request) -> Result<&str, Problem> {
    let missing = || {
        Problem::unauthorized(
            "log in or send an API key or a device token: `Authorization: Bearer kbr_…`",
        )
    };
    let header = request.headers().get(header::AUTHORIZATION);
    let text = header.and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let (scheme, credential) = text.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(credential.trim()) } else { Err(missing()) }
}

fn named_account(request: &Request) -> Result<Option<AccountId>, Problem> {
    let Some(value) = request.headers().get(ACCOUNT_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let id = text.parse().map_err(|error: kabar::core::ParseIdError| {
        Problem::unreadable(ACCOUNT_HEADER, error.to_string())
    })?;
    Ok(Some(id))
}

/// A proof that can be made of a caller.
pub trait Admission: Sized + Send {
    /// Makes it.
    ///
    /// # Errors
    /// Why the caller may not.
    fn admit(caller: Caller) -> Result<Self, Denied>;
}

/// The proof that the caller may do `P` in an account.
#[derive(Debug)]
pub struct InAccount<P> {
    /// The proof.
    pub grant: Grant<P>,
    /// Who asks.
    pub principal: Principal,
}

impl<P> InAccount<P> {
    /// The account's rows.
    pub const fn scope(&self) -> Option<Scope> {
        Some(self.grant.scope())
    }
}

impl<P: Permit> Admission for InAccount<P> {
    fn admit(caller: Caller) -> Result<Self, Denied> {
        Ok(Self { grant: caller.principal.grant(caller.account)?, principal: caller.principal })
    }
}

/// The proof that the caller may do `P` over the whole installation.
#[derive(Debug)]
pub struct OverAll<P> {
    /// The proof.
    pub scope: InstallationScope,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permit> Admission for OverAll<P> {
    fn admit(caller: Caller) -> Result<Self, Denied> {
        Ok(Self { scope: caller.principal.grant_installation::<P>()?, permission: PhantomData })
    }
}

/// The proof that the caller may do `P` in an account, or, for a provider that names none, with what
/// is the provider's own.
#[derive(Debug)]
pub struct Anywhere<P> {
    /// Where.
    pub place: Place<P>,
    /// Who asks.
    pub principal: Principal,
}

impl<P> Anywhere<P> {
    /// The account's rows; `None` for what is the provider's own.
    pub const fn scope(&self) -> Option<Scope> {
        match &self.place {
            Place::Account(grant) => Some(grant.scope()),
            Place::Provider(_) => None,
        }
    }
}

/// Where a caller may do something.
#[derive(Debug)]
pub enum Place<P> {
    /// In an account.
    Account(Grant<P>),
    /// With what is the provider's own.
    Provider(InstallationScope),
}

impl<P: Permit> Admission for Anywhere<P> {
    fn admit(caller: Caller) -> Result<Self, Denied> {
        let own = caller.account.is_none() && caller.principal.account().is_none();
        let place = if own {
            Place::Provider(caller.principal.grant_installation::<P>()?)
        } else {
            Place::Account(caller.principal.grant(caller.account)?)
        };
        Ok(Self { place, principal: caller.principal })
    }
}

/// The proof that the caller is a person who asks for oneself.
#[derive(Debug)]
pub struct Oneself {
    /// Who, and in which session.
    pub me: Myself,
}

impl Admission for Oneself {
    fn admit(caller: Caller) -> Result<Self, Denied> {
        let me = Myself::of(&caller.principal, caller.session);
        let me = me.ok_or(Denied::PersonOnly)?;
        match caller.account {
            Some(named) if caller.principal.account() != Some(named) => Err(Denied::NoSuchAccount),
            _ => Ok(Self { me }),
        }
    }
}

/// Takes an operation's proof out of the request.
#[derive(Debug)]
pub struct Auth<A>(pub A);

impl<'a, A: Admission> ApiExtractor<'a> for Auth<A> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "An access token of a session (`kbs_…`), an API key (`kbr_…`) or a device \
                     token (`kbd_…`).",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let caller = Caller::of(request).await?;
        Ok(Self(A::admit(caller).map_err(Problem::from)?))
    }
}

/// The credential of a request, to be looked at again while its answer goes on.
pub struct Standing {
    platform: Platform,
    bearer: Secret,
    account: Option<AccountId>,
}

impl Standing {
    /// That of a request.
    ///
    /// # Errors
    /// As [`Caller::of`].
    pub fn of(request: &Request, platform: Platform) -> Result<Self, Problem> {
        let bearer = Secret::from(bearer(request)?);
        Ok(Self { platform, bearer, account: named_account(request)? })
    }

    /// Whether it would still be let in. While storage is away, it is.
    pub async fn admits<A: Admission>(&self) -> bool {
        let bearer = self.bearer.expose_secret();
        match self.platform.authenticator().authenticate(bearer).await {
            Ok(principal) => {
                A::admit(Caller { principal, session: None, account: self.account }).is_ok()
            }
            Err(AuthError::Unauthorized) => false,
            Err(_) => true,
        }
    }
}
