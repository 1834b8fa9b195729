//! What is mailed.

use chrono::TimeDelta;
use kabar_core::{
    ExposeSecret as _, IdSource, InstallationScope, Mail, Secret, StoreError, Timestamp, UserId,
};
use kabar_jobs::mail;

use super::{LoginSettings, MAILED_TOKEN, MAILED_TOKEN_HOURS};
use crate::credential;
use crate::login::PasswordToken;
use crate::user::User;
use crate::work::AccountsWork;

const SCOPE: InstallationScope = InstallationScope::system("login");

/// Makes a token that sets a user's password, in a unit of work of somebody else.
pub(super) async fn password_token(
    work: &dyn AccountsWork,
    ids: &dyn IdSource,
    user: UserId,
    now: Timestamp,
) -> Result<Secret, StoreError> {
    let id = ids.next();
    let minted = credential::mint(MAILED_TOKEN, id, ids);
    let token = PasswordToken {
        id,
        user,
        hash: *minted.hash.bytes(),
        created_at: now,
        expires_at: now + TimeDelta::hours(MAILED_TOKEN_HOURS),
    };
    work.logins(SCOPE).put_token(&token).await?;
    Ok(minted.secret)
}

/// Invites a user who was made by somebody else to set a first password.
pub(crate) async fn invitation(
    work: &dyn AccountsWork,
    ids: &dyn IdSource,
    settings: &LoginSettings,
    user: &User,
    now: Timestamp,
) -> Result<(), StoreError> {
    let token = password_token(work, ids, user.id, now).await?;
    let name = &settings.name;
    let text = format!(
        "You were given access to {name}. Set your password within {MAILED_TOKEN_HOURS} hours:\n\n{}",
        token_lines(settings, "reset-password", &token),
    );
    let letter = letter(settings, &user.email, &format!("Your access to {name}"), &text);
    mail::enqueue(work, ids, user.account, vec![letter], now).await
}

pub(super) fn verification(settings: &LoginSettings, email: &str, token: &Secret) -> Mail {
    let text = format!(
        "Somebody, we hope you, registered at {} with this address. To go on, open this within \
         {MAILED_TOKEN_HOURS} hours and enter the password that you chose:\n\n{}\n\
         If it was not you, do nothing: no account is made.",
        settings.name,
        token_lines(settings, "verify", token),
    );
    letter(settings, email, &format!("Verify your address for {}", settings.name), &text)
}

pub(super) fn known(settings: &LoginSettings, email: &str) -> Mail {
    let text = format!(
        "Somebody tried to register at {} with this address, which has a user already. If it was \
         you, log in, or ask for a new password. If it was not, do nothing.\n",
        settings.name,
    );
    letter(settings, email, &format!("You have a user at {}", settings.name), &text)
}

pub(super) fn forgotten(settings: &LoginSettings, user: &User, token: &Secret) -> Mail {
    let text = format!(
        "Somebody asked for a new password for you at {}. Set it within {MAILED_TOKEN_HOURS} \
         hours:\n\n{}\nIf it was not you, do nothing: the present one stays.",
        settings.name,
        token_lines(settings, "reset-password", token),
    );
    letter(settings, &user.email, &format!("A new password for {}", settings.name), &text)
}

pub(super) fn changed(settings: &LoginSettings, user: &User) -> Mail {
    notice(settings, user, "Your password was changed, and other sessions were ended.")
}

pub(super) fn codes_on(settings: &LoginSettings, user: &User) -> Mail {
    notice(settings, user, "Logging in asks for a one-time code from now on.")
}

pub(super) fn codes_off(settings: &LoginSettings, user: &User) -> Mail {
    notice(settings, user, "Logging in does not ask for a one-time code any more.")
}

fn notice(settings: &LoginSettings, user: &User, what: &str) -> Mail {
    let text = format!("{what}\nIf it was not you, ask for a new password at once.\n");
    letter(settings, &user.email, &format!("A change of your login at {}", settings.name), &text)
}

fn letter(settings: &LoginSettings, to: &str, subject: &str, text: &str) -> Mail {
    let text = format!("{text}\n-- \n{}\n", settings.name);
    Mail { to: to.to_owned(), subject: subject.to_owned(), text }
}

/// The link, where the installation has pages, and the token by itself. The token stands behind `#`,
/// so that no server and no log on the way sees it.
fn token_lines(settings: &LoginSettings, page: &str, token: &Secret) -> String {
    let token = token.expose_secret();
    let link = settings.public_url.as_ref().and_then(|base| base.join(page).ok());
    match link {
        Some(link) => format!("{link}#{token}\n\nToken: {token}\n"),
        None => format!("Token: {token}\n"),
    }
}
