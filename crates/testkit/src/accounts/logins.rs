//! Logging in.

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_accounts::registration::NewRegistration;
use kabar_accounts::session::{ACCESS, GRACE, REFRESH};
use kabar_accounts::{
    Client, Credentials, Door, LoggedIn, LoginError, LoginOutcome, LoginSettings, Logins, Myself,
    NewAccount, NewOwner, NewUser, PasswordCost, Passwords, User, UserError, UserPatch,
};
use kabar_core::permission::{ReadUsers, WriteUsers};
use kabar_core::{
    AccountId, Clock as _, ExposeSecret as _, InstallationScope, JobId, Mail, PageRequest,
    Principal, Role, Secret, UserId,
};
use kabar_jobs::mail::MAIL_JOB;

use super::{Tenancy, grant, new_account, provider};

const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "correct house battery";
const SCOPE: InstallationScope = InstallationScope::system("contract");
/// Cheap: what is tested is not the cost.
const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };

pub(super) fn service(tenancy: &Tenancy, cost: PasswordCost) -> Logins {
    let passwords = Passwords::new(cost, &*tenancy.ids).unwrap();
    let settings = Arc::new(LoginSettings::default());
    let (store, clock) = (Arc::clone(&tenancy.store), tenancy.clock.clone());
    Logins::new(store, clock, tenancy.ids.clone(), passwords, settings)
}

pub(super) async fn contract(tenancy: &Tenancy) {
    let logins = service(tenancy, CHEAP);
    customers_register(tenancy, &logins).await;
    nobody_learns_who_registered(tenancy, &logins).await;
    doors_are_apart(tenancy, &logins).await;
    the_sixth_try_is_refused(tenancy, &logins).await;
    tries_at_the_same_time_are_counted(tenancy, &logins).await;
    passwords_are_reset_once(tenancy, &logins).await;
    hashes_are_renewed(tenancy).await;
    tokens_rotate(tenancy, &logins).await;
    reuse_ends_the_session(tenancy, &logins).await;
    sessions_end(tenancy, &logins).await;
    whoever_is_switched_off_is_out(tenancy, &logins).await;
    the_last_owner_stays(tenancy).await;
    codes_are_asked_for(tenancy, &logins).await;
    nothing_is_kept_for_ever(tenancy, &logins).await;
}

/// The mails that wait, and are taken away.
async fn mails(tenancy: &Tenancy) -> Vec<Mail> {
    let work = tenancy.store.begin().await.unwrap();
    let lease = std::time::Duration::from_mins(1);
    let now = tenancy.clock.now();
    let claimed = work.jobs().claim(SCOPE, &[MAIL_JOB], now, lease, 500).await.unwrap();
    let mut mails = Vec::new();
    for job in claimed {
        mails.extend(work.mails().get(SCOPE, job.id).await.unwrap());
        work.mails().remove(SCOPE, JobId::from(job.id.uuid())).await.unwrap();
        work.jobs().complete(job.id, job.fence).await.unwrap();
    }
    work.commit().await.unwrap();
    mails
}

/// The token in the last mail to an address.
async fn token(tenancy: &Tenancy, email: &str) -> String {
    let mails = mails(tenancy).await;
    let mail = mails.iter().rfind(|mail| mail.to == email).expect("a mail");
    let (_, rest) = mail.text.split_once("Token: ").expect("a token");
    rest.lines().next().expect("a line").to_owned()
}

/// The owner of a new account, with a password.
async fn owner(tenancy: &Tenancy, logins: &Logins, email: &str) -> User {
    let owner = NewOwner { email: email.to_owned(), name: "Ayu".to_owned() };
    let new = NewAccount { owner: Some(owner), ..new_account("Login") };
    let made = tenancy.accounts.create(provider(), new, None).await.unwrap();
    let invited = token(tenancy, email).await;
    logins.reset(&invited, &Secret::from(PASSWORD)).await.unwrap();
    made.owner.unwrap()
}

async fn enter(logins: &Logins, email: &str, password: &str) -> Result<LoggedIn, LoginError> {
    enter_with(logins, email, password, None).await
}

async fn enter_with(
    logins: &Logins,
    email: &str,
    password: &str,
    totp: Option<&str>,
) -> Result<LoggedIn, LoginError> {
    let who = Credentials {
        email: email.to_owned(),
        password: Secret::from(password),
        totp: totp.map(Secret::from),
    };
    logins.log_in(Door::Customer, &who, Client::default()).await
}

fn me(user: &User, logged_in: &LoggedIn) -> Myself {
    let principal = Principal::user(user.id, user.role, user.account, []);
    Myself::of(&principal, Some(logged_in.tokens.session)).unwrap()
}

async fn is_in(tenancy: &Tenancy, logged_in: &LoggedIn) -> bool {
    let access = logged_in.tokens.access.expose_secret();
    tenancy.authenticator.admit(access, None).await.is_ok()
}

fn registration(email: &str) -> NewRegistration {
    NewRegistration {
        email: email.to_owned(),
        name: "Citra".to_owned(),
        password: Secret::from(PASSWORD),
        account_name: "Toko Citra".to_owned(),
        time_zone: Some("Asia/Jakarta".to_owned()),
        country: Some("ID".to_owned()),
    }
}

async fn customers_register(tenancy: &Tenancy, logins: &Logins) {
    let (email, right) = ("citra@example.com", Secret::from(PASSWORD));
    let from = Client::default;
    logins.register(registration(email), from()).await.unwrap();
    assert!(matches!(enter(logins, email, PASSWORD).await, Err(LoginError::Wrong)));
    let first = token(tenancy, email).await;
    logins.resend_verification("CITRA@example.com", from()).await.unwrap();
    let second = token(tenancy, email).await;
    let verify = async |token: &str, password| logins.verify(token, password, from()).await;
    assert!(matches!(verify(&first, &right).await, Err(LoginError::Token)), "replaced");
    let other = Secret::from(WRONG);
    assert!(matches!(verify(&second, &other).await, Err(LoginError::Wrong)), "not by a click");
    let (one, two) = tokio::join!(verify(&second, &right), verify(&second, &right));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "once");
    assert!(matches!(verify(&second, &right).await, Err(LoginError::Token)));
    let logged_in = enter(logins, email, PASSWORD).await.unwrap();
    assert_eq!(logged_in.user.role, Role::Customer);
    let account = logged_in.user.account.unwrap();
    let account = tenancy.accounts.get(provider(), account).await.unwrap();
    assert_eq!((account.name.as_str(), account.country.as_deref()), ("Toko Citra", Some("ID")));

    let late = "late@example.com";
    logins.register(registration(late), from()).await.unwrap();
    let token = token(tenancy, late).await;
    tenancy.clock.advance(TimeDelta::hours(24));
    assert!(matches!(verify(&token, &right).await, Err(LoginError::Token)), "expired");
    for (field, new) in [
        ("email", NewRegistration { email: "x".to_owned(), ..registration(late) }),
        ("password", NewRegistration { password: Secret::from("short"), ..registration(late) }),
        ("account_name", NewRegistration { account_name: String::new(), ..registration(late) }),
        ("time_zone", NewRegistration { time_zone: Some("x".to_owned()), ..registration(late) }),
    ] {
        match logins.register(new, from()).await {
            Err(LoginError::Invalid(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

async fn nobody_learns_who_registered(tenancy: &Tenancy, logins: &Logins) {
    mails(tenancy).await;
    let known = "citra@example.com";
    logins.register(registration(known), Client::default()).await.unwrap();
    let told = mails(tenancy).await;
    assert!(matches!(told.as_slice(), [mail] if mail.to == known && !mail.text.contains("kbt_")));
    logins.forgot(Door::Customer, "nobody@example.com", Client::default()).await.unwrap();
    logins.forgot(Door::Provider, known, Client::default()).await.unwrap();
    logins.resend_verification("nobody@example.com", Client::default()).await.unwrap();
    assert_eq!(mails(tenancy).await, []);
    // Nobody can be flooded.
    for _ in 0..9 {
        logins.forgot(Door::Customer, known, Client::default()).await.unwrap();
    }
    assert!(mails(tenancy).await.len() < 5);
}

async fn doors_are_apart(tenancy: &Tenancy, logins: &Logins) {
    let staff = NewUser {
        email: "staff@doors.example".to_owned(),
        name: "Staff".to_owned(),
        role: Role::ProviderStaff,
        permissions: [].into(),
    };
    tenancy.users.create_provider(provider(), staff, None).await.unwrap();
    let invited = token(tenancy, "staff@doors.example").await;
    logins.reset(&invited, &Secret::from(PASSWORD)).await.unwrap();
    owner(tenancy, logins, "owner@doors.example").await;
    for (email, right, wrong) in [
        ("staff@doors.example", Door::Provider, Door::Customer),
        ("owner@doors.example", Door::Customer, Door::Provider),
    ] {
        let who = Credentials {
            email: email.to_uppercase(),
            password: Secret::from(PASSWORD),
            totp: None,
        };
        logins.log_in(right, &who, Client::default()).await.unwrap();
        let refused = logins.log_in(wrong, &who, Client::default()).await;
        assert!(matches!(refused, Err(LoginError::Wrong)), "{email}: {refused:?}");
    }
}

async fn the_sixth_try_is_refused(tenancy: &Tenancy, logins: &Logins) {
    let email = "locked@example.com";
    let user = owner(tenancy, logins, email).await;
    for known in [email, "unknown@example.com"] {
        for _ in 0..5 {
            assert!(matches!(enter(logins, known, WRONG).await, Err(LoginError::Wrong)));
        }
        assert!(matches!(enter(logins, known, PASSWORD).await, Err(LoginError::Wrong)));
    }
    tenancy.clock.advance(TimeDelta::minutes(15) - TimeDelta::microseconds(1));
    assert!(matches!(enter(logins, email, PASSWORD).await, Err(LoginError::Wrong)));
    tenancy.clock.advance(TimeDelta::microseconds(1));
    let logged_in = enter(logins, email, PASSWORD).await.unwrap();
    // Four wrong ones, a right one, and the count begins anew.
    for _ in 0..2 {
        for _ in 0..4 {
            enter(logins, email, WRONG).await.unwrap_err();
        }
        enter(logins, email, PASSWORD).await.unwrap();
    }
    let page = PageRequest::new(Some(200), None);
    let attempts = logins.own_attempts(me(&user, &logged_in), page).await.unwrap().items;
    let count = |outcome| attempts.iter().filter(|one| one.outcome == outcome).count();
    assert_eq!(count(LoginOutcome::Locked), 2);
    assert_eq!(count(LoginOutcome::WrongPassword), 5 + 8);
    assert_eq!(count(LoginOutcome::LoggedIn), 3);
    let account = user.account.unwrap();
    let realm = SCOPE.within(account).into();
    assert_eq!(logins.attempts(realm, page).await.unwrap().items, attempts);
    let own = logins.attempts(SCOPE.into(), page).await.unwrap().items;
    assert!(own.iter().any(|one| one.outcome == LoginOutcome::UnknownUser && one.user.is_none()));
}

async fn tries_at_the_same_time_are_counted(tenancy: &Tenancy, logins: &Logins) {
    let email = "raced@example.com";
    let user = owner(tenancy, logins, email).await;
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let logins = logins.clone();
            tokio::spawn(async move { enter(&logins, email, WRONG).await.is_err() })
        })
        .collect();
    for one in tries {
        assert!(one.await.unwrap());
    }
    let principal = Principal::user(user.id, user.role, user.account, []);
    let me = Myself::of(&principal, None).unwrap();
    let attempts = logins.own_attempts(me, PageRequest::default()).await.unwrap().items;
    let wrong = attempts.iter().filter(|one| one.outcome == LoginOutcome::WrongPassword).count();
    assert_eq!((attempts.len(), wrong), (20, 5));
}

async fn passwords_are_reset_once(tenancy: &Tenancy, logins: &Logins) {
    let email = "reset@example.com";
    let user = owner(tenancy, logins, email).await;
    let before = enter(logins, email, PASSWORD).await.unwrap();
    for _ in 0..5 {
        enter(logins, email, WRONG).await.unwrap_err();
    }
    logins.forgot(Door::Customer, email, Client::default()).await.unwrap();
    let mailed = token(tenancy, email).await;
    let new = Secret::from("another good password");
    for own in [email, "short"] {
        let refused = logins.reset(&mailed, &Secret::from(own)).await;
        assert!(matches!(refused, Err(LoginError::Invalid(e)) if e.field == "password"));
    }
    let (one, two) = tokio::join!(logins.reset(&mailed, &new), logins.reset(&mailed, &new));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "{one:?} {two:?}");
    assert!(!is_in(tenancy, &before).await, "sessions end");
    assert!(matches!(enter(logins, email, PASSWORD).await, Err(LoginError::Wrong)));
    let logged_in = enter(logins, email, "another good password").await.unwrap();

    let other = enter(logins, email, "another good password").await.unwrap();
    let back = Secret::from(PASSWORD);
    let change = async |present: &str| {
        let present = Secret::from(present);
        logins.change_password(me(&user, &logged_in), &present, &back, Client::default()).await
    };
    assert!(matches!(change(WRONG).await, Err(LoginError::Wrong)));
    change("another good password").await.unwrap();
    assert!(is_in(tenancy, &logged_in).await && !is_in(tenancy, &other).await);

    logins.forgot(Door::Customer, email, Client::default()).await.unwrap();
    let late = token(tenancy, email).await;
    tenancy.clock.advance(TimeDelta::hours(24));
    assert!(matches!(logins.reset(&late, &new).await, Err(LoginError::Token)), "expired");
    // What was mailed to an address does not open the door after it was taken away.
    logins.forgot(Door::Customer, email, Client::default()).await.unwrap();
    let stale = token(tenancy, email).await;
    let patch = UserPatch { email: Some("moved@example.com".to_owned()), ..UserPatch::default() };
    tenancy.users.update(&grant(user.account.unwrap()), user.id, patch).await.unwrap();
    assert!(matches!(logins.reset(&stale, &new).await, Err(LoginError::Token)));
}

async fn hashes_are_renewed(tenancy: &Tenancy) {
    let (old, new) = (service(tenancy, CHEAP), PasswordCost { passes: 2, ..CHEAP });
    let new = service(tenancy, new);
    let email = "renewed@example.com";
    let user = owner(tenancy, &old, email).await;
    let hash = async || {
        let work = tenancy.store.read().await.unwrap();
        let known = work.logins(SCOPE).get(user.id).await.unwrap().unwrap();
        known.password_hash.unwrap().expose_secret().to_owned()
    };
    assert!(hash().await.contains("t=1"));
    enter(&new, email, PASSWORD).await.unwrap();
    assert!(hash().await.contains("t=2"));
    enter(&new, email, PASSWORD).await.unwrap();
}

async fn tokens_rotate(tenancy: &Tenancy, logins: &Logins) {
    let email = "rotate@example.com";
    owner(tenancy, logins, email).await;
    let first = enter(logins, email, PASSWORD).await.unwrap();
    let refresh = async |of: &LoggedIn| logins.refresh(of.tokens.refresh.expose_secret()).await;
    assert!(is_in(tenancy, &first).await);
    tenancy.clock.advance(ACCESS);
    assert!(!is_in(tenancy, &first).await, "15 minutes");
    // Two windows at the same time, and one whose answer got lost.
    let (one, two) = tokio::join!(refresh(&first), refresh(&first));
    let (one, two) = (one.unwrap(), two.unwrap());
    tenancy.clock.advance(GRACE);
    let three = refresh(&first).await.unwrap();
    for next in [&one, &two, &three] {
        assert!(is_in(tenancy, next).await);
        assert_eq!(next.tokens.session, first.tokens.session);
    }
    tenancy.clock.advance(REFRESH);
    assert!(matches!(refresh(&three).await, Err(LoginError::Token)), "7 days");
    for garbage in ["", "kbf_x", first.tokens.access.expose_secret()] {
        assert!(matches!(logins.refresh(garbage).await, Err(LoginError::Token)));
    }
}

async fn reuse_ends_the_session(tenancy: &Tenancy, logins: &Logins) {
    let email = "reuse@example.com";
    let user = owner(tenancy, logins, email).await;
    let (stolen, apart) = (
        enter(logins, email, PASSWORD).await.unwrap(),
        enter(logins, email, PASSWORD).await.unwrap(),
    );
    let next = logins.refresh(stolen.tokens.refresh.expose_secret()).await.unwrap();
    // Who knows the id and not the secret ends nothing.
    let forged = next.tokens.refresh.expose_secret().rsplit_once('_').unwrap().0.to_owned();
    let forged = format!("{forged}_{}", "A".repeat(43));
    assert!(matches!(logins.refresh(&forged).await, Err(LoginError::Token)));
    tenancy.clock.advance(GRACE + TimeDelta::microseconds(1));
    assert!(is_in(tenancy, &next).await);
    let reused = logins.refresh(stolen.tokens.refresh.expose_secret()).await;
    assert!(matches!(reused, Err(LoginError::Token)));
    assert!(!is_in(tenancy, &next).await, "for thief and robbed alike");
    assert!(matches!(
        logins.refresh(next.tokens.refresh.expose_secret()).await,
        Err(LoginError::Token)
    ));
    assert!(is_in(tenancy, &apart).await, "the other session goes on");
    let audited = super::audited(tenancy, SCOPE.within(user.account.unwrap())).await;
    assert_eq!(audited.first().map(String::as_str), Some("session.token_reused"));
}

async fn sessions_end(tenancy: &Tenancy, logins: &Logins) {
    let email = "sessions@example.com";
    let user = owner(tenancy, logins, email).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(enter(logins, email, PASSWORD).await.unwrap());
    }
    let myself = me(&user, &open[0]);
    let listed =
        async || logins.sessions(myself, PageRequest::default()).await.unwrap().items.len();
    assert_eq!(listed().await, 4);
    logins.end_session(myself, open[1].tokens.session).await.unwrap();
    let again = logins.end_session(myself, open[1].tokens.session).await;
    assert!(matches!(again, Err(LoginError::NotFound)));
    assert!(!is_in(tenancy, &open[1]).await);
    logins.log_out(me(&user, &open[2])).await.unwrap();
    assert_eq!(listed().await, 2);
    let stranger = owner(tenancy, logins, "stranger@example.com").await;
    let stranger = me(&stranger, &open[3]);
    let foreign = logins.end_session(stranger, open[3].tokens.session).await;
    assert!(matches!(foreign, Err(LoginError::NotFound)));
    assert_eq!(logins.log_out_everywhere(myself).await.unwrap(), 2);
    assert!(!is_in(tenancy, &open[0]).await && !is_in(tenancy, &open[3]).await);
}

async fn whoever_is_switched_off_is_out(tenancy: &Tenancy, logins: &Logins) {
    let email = "off@example.com";
    let user = owner(tenancy, logins, email).await;
    let account = user.account.unwrap();
    let agent = NewUser {
        email: "agent@off.example".to_owned(),
        name: "Agent".to_owned(),
        role: Role::Agent,
        permissions: [].into(),
    };
    let agent = tenancy.users.create(&grant(account), agent, None).await.unwrap();
    let invited = token(tenancy, "agent@off.example").await;
    logins.reset(&invited, &Secret::from(PASSWORD)).await.unwrap();
    let agent_in = enter(logins, "agent@off.example", PASSWORD).await.unwrap();
    let write = grant::<WriteUsers>(account);
    // Another role counts at once.
    let role = |role| UserPatch { role: Some(role), ..UserPatch::default() };
    tenancy.users.update(&write, agent.id, role(Role::Customer)).await.unwrap();
    let access = agent_in.tokens.access.expose_secret();
    let admitted = tenancy.authenticator.admit(access, None).await.unwrap();
    assert!(admitted.principal.grant::<ReadUsers>(None).is_ok());
    assert_eq!(admitted.session, Some(agent_in.tokens.session));
    tenancy.users.update(&write, agent.id, role(Role::Agent)).await.unwrap();
    let admitted = tenancy.authenticator.admit(access, None).await.unwrap();
    assert!(admitted.principal.grant::<ReadUsers>(None).is_err());

    let active = |active| UserPatch { active: Some(active), ..UserPatch::default() };
    tenancy.users.update(&write, agent.id, active(false)).await.unwrap();
    assert!(!is_in(tenancy, &agent_in).await);
    let refused = enter(logins, "agent@off.example", PASSWORD).await;
    assert!(matches!(refused, Err(LoginError::Wrong)));
    tenancy.users.update(&write, agent.id, active(true)).await.unwrap();
    assert!(!is_in(tenancy, &agent_in).await, "a session that ended stays so");

    let owner_in = enter(logins, email, PASSWORD).await.unwrap();
    tenancy.accounts.set_active(provider(), account, false).await.unwrap();
    assert!(!is_in(tenancy, &owner_in).await);
    assert!(matches!(enter(logins, email, PASSWORD).await, Err(LoginError::Wrong)));
    assert!(matches!(
        logins.refresh(owner_in.tokens.refresh.expose_secret()).await,
        Err(LoginError::Token)
    ));
    tenancy.accounts.set_active(provider(), account, true).await.unwrap();
    assert!(is_in(tenancy, &owner_in).await);
}

async fn the_last_owner_stays(tenancy: &Tenancy) {
    let account = tenancy.account("Last").await;
    let make = async |email: &str| made(tenancy, account, email).await;
    let (one, two) = (make("one@last.example").await, make("two@last.example").await);
    let off = |id: UserId| {
        let (users, write) = (tenancy.users.clone(), grant::<WriteUsers>(account));
        let patch = UserPatch { active: Some(false), ..UserPatch::default() };
        async move { users.update(&write, id, patch).await }
    };
    // Two who dismiss each other: one of them stays.
    let (first, second) = tokio::join!(off(one), off(two));
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), [UserError::LastOne]), "{refused:?}");
    let left = tenancy.users.list(&grant(account), PageRequest::default()).await.unwrap();
    let left = left.items.iter().find(|user| user.active).unwrap().id;
    let agent = UserPatch { role: Some(Role::Agent), ..UserPatch::default() };
    let refused = tenancy.users.update(&grant(account), left, agent).await;
    assert!(matches!(refused, Err(UserError::LastOne)), "{refused:?}");
    let name = UserPatch { name: Some("Still".to_owned()), ..UserPatch::default() };
    tenancy.users.update(&grant(account), left, name).await.unwrap();
}

async fn made(tenancy: &Tenancy, account: AccountId, email: &str) -> UserId {
    let new = NewUser {
        email: email.to_owned(),
        name: "Owner".to_owned(),
        role: Role::Customer,
        permissions: [].into(),
    };
    tenancy.users.create(&grant(account), new, None).await.unwrap().id
}

async fn codes_are_asked_for(tenancy: &Tenancy, logins: &Logins) {
    let email = "codes@example.com";
    let user = owner(tenancy, logins, email).await;
    let logged_in = enter(logins, email, PASSWORD).await.unwrap();
    let myself = me(&user, &logged_in);
    let right = Secret::from(PASSWORD);
    let refused = logins.enrol_totp(myself, &Secret::from(WRONG), Client::default()).await;
    assert!(matches!(refused, Err(LoginError::Wrong)));
    let enrolled = logins.enrol_totp(myself, &right, Client::default()).await.unwrap();
    let code = || Secret::from(code(enrolled.secret.expose_secret(), tenancy.clock.now()));
    enter(logins, email, PASSWORD).await.expect("not asked for before it is confirmed");
    let wrong = logins.confirm_totp(myself, &Secret::from("x")).await;
    assert!(matches!(wrong, Err(LoginError::Invalid(_))));
    let confirmed = logins.confirm_totp(myself, &code()).await.unwrap();
    assert_eq!(confirmed.recovery_codes.len(), 10);
    assert!(logins.me(myself).await.unwrap().totp);
    assert!(matches!(
        logins.enrol_totp(myself, &right, Client::default()).await,
        Err(LoginError::Codes(_))
    ));

    let log_in = async |code: Option<&str>| enter_with(logins, email, PASSWORD, code).await;
    // Asking which it is costs nothing.
    for _ in 0..7 {
        assert!(matches!(log_in(None).await, Err(LoginError::Code { wrong: false })));
    }
    let used = code();
    let replayed = log_in(Some(used.expose_secret())).await;
    assert!(matches!(replayed, Err(LoginError::Code { wrong: true })), "confirming used it");
    tenancy.clock.advance(TimeDelta::seconds(30));
    let fresh = code();
    let (one, two) =
        tokio::join!(log_in(Some(fresh.expose_secret())), log_in(Some(fresh.expose_secret())));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "once");
    let recovery = confirmed.recovery_codes[0].expose_secret();
    log_in(Some(&recovery.to_uppercase())).await.unwrap();
    assert!(matches!(log_in(Some(recovery)).await, Err(LoginError::Code { wrong: true })));
    // Wrong codes are wrong tries.
    for _ in 0..4 {
        assert!(matches!(log_in(Some("000000")).await, Err(LoginError::Code { wrong: true })));
    }
    let fresh = confirmed.recovery_codes[1].expose_secret();
    assert!(matches!(log_in(Some(fresh)).await, Err(LoginError::Wrong)), "locked");
    tenancy.clock.advance(TimeDelta::minutes(15));
    let renewed = logins.renew_recovery_codes(myself, &right, Client::default()).await.unwrap();
    assert!(matches!(log_in(Some(fresh)).await, Err(LoginError::Code { wrong: true })), "renewed");
    log_in(Some(renewed.recovery_codes[0].expose_secret())).await.unwrap();
    logins.disable_totp(myself, &right, Client::default()).await.unwrap();
    log_in(None).await.unwrap();
}

/// The code of an app for a time, by the library that apps use, too.
fn code(secret: &str, now: kabar_core::Timestamp) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new()
        .with_secret(secret)
        .with_account_name("x")
        .with_issuer(Some("x"))
        .build()
        .unwrap();
    app.generate(u64::try_from(now.timestamp()).unwrap()).to_string()
}

async fn nothing_is_kept_for_ever(tenancy: &Tenancy, logins: &Logins) {
    tenancy.clock.advance(TimeDelta::days(91));
    assert!(logins.prune().await.unwrap() > 0);
    assert_eq!(logins.prune().await.unwrap(), 0);
    let attempts = logins.attempts(SCOPE.into(), PageRequest::default()).await.unwrap();
    assert_eq!(attempts.items, []);
}
