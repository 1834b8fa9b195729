//! Logging in. The operations that need nobody to be logged in take no `Idempotency-Key`: they make
//! nothing twice that counts, and answers with tokens are not kept.

pub mod enter;
pub mod own;
pub mod register;
pub mod totp;

use kabar::Platform;

/// All operations of the area.
pub type AuthApis = (register::RegisterApi, enter::EnterApi, own::OwnApi, totp::TotpApi);

/// All operations of the area, over a platform.
pub fn all(platform: &Platform) -> AuthApis {
    (
        register::RegisterApi(platform.clone()),
        enter::EnterApi(platform.clone()),
        own::OwnApi(platform.clone()),
        totp::TotpApi(platform.clone()),
    )
}
