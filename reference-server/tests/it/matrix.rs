//! Who may do what: every operation of the document, by every kind of caller.

use std::fmt::Write as _;

use kabar::core::Role;
use serde_json::Value;

use crate::bed::{Bed, Call, Tenant};
use crate::operations::{self, Needs, Operation, Reach, about_nobody, foreign_bodies, request};
use crate::snapshots;

#[test]
fn the_matrix_is_committed() {
    let mut text = String::from(
        "# Who may do what\n\n\
         Made from the OpenAPI document by `UPDATE=1 cargo test -p kabar-server`; do not edit. Roles \
         are those of `kabar_core::Role`; a user may have further permissions by name, an API key has \
         exactly those it was made with. A device token reads its own device and sends and reads its \
         messages. *A session*: people who are logged in, for themselves, and no keys. *Nothing*: \
         anybody.\n\n\
         | operation | | needs | whose | provider_admin | provider_staff | customer | agent | device token |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for operation in operations::all() {
        let whose = match operation.reach {
            _ if operation.is_own() => "oneself",
            _ if operation.is_public() => "–",
            Reach::Installation => "installation",
            Reach::Account => "account",
            Reach::Either => "account or provider",
        };
        let mark = |yes: bool| if yes { "yes" } else { "–" };
        let roles: Vec<&str> = Role::ALL.iter().map(|role| mark(operation.allows(*role))).collect();
        writeln!(
            text,
            "| `{}` | `{} {}` | {} | {whose} | {} | {} |",
            operation.id,
            operation.method,
            operation.path,
            operation.needs,
            roles.join(" | "),
            mark(by_device(&operation)),
        )
        .unwrap();
    }
    snapshots::check("authorization-matrix.md", &text);
}

/// What a device token holds: see `Principal::device`.
fn by_device(operation: &Operation) -> bool {
    match operation.needs {
        Needs::Permission(needs) => {
            ["devices:read", "messages:read", "messages:send"].contains(&needs.as_str())
        }
        Needs::Session => false,
        Needs::Nothing => true,
    }
}

#[tokio::test]
async fn without_a_credential_nothing_works() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let before = bed.rows.dump().await;
        for operation in operations::all().into_iter().filter(|it| !it.is_public()) {
            bed.call(request(&operation, &tenant)).await.problem(401);
            for garbage in [
                "x",
                "kbs_00000000000000000000000000000000_AAAA",
                "kbr_00000000000000000000000000000000_AAAA",
                &format!("{}A", tenant.token),
            ] {
                bed.call(request(&operation, &tenant).bearer(garbage)).await.problem(401);
            }
        }
        assert_eq!(bed.rows.dump().await, before);
    })
    .await;
}

/// A key with a role's permissions, and the account that it has to name.
async fn holder(bed: &Bed, role: Role, tenant: &Tenant) -> (String, bool) {
    let account = (!role.is_provider()).then_some(tenant.account.as_str());
    (bed.key(role, account).await.1, role.is_provider())
}

#[tokio::test]
async fn every_role_may_what_the_matrix_says() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        for role in Role::ALL {
            let (token, provider) = holder(&bed, *role, &tenant).await;
            // As long as everything is refused the rows stay those that were read last.
            let mut before = None;
            for operation in operations::all().into_iter().filter(|it| !it.is_public()) {
                // Where it is allowed it is asked about nobody: what is there stays for the next.
                let allowed = operation.allows(*role) && !operation.is_own();
                let call = if allowed {
                    about_nobody(&operation, &tenant)
                } else {
                    request(&operation, &tenant)
                };
                let mut call = call.bearer(&token);
                if provider && operation.reach != Reach::Installation {
                    call = call.account(&tenant.account);
                }
                if before.is_none() && !allowed {
                    before = Some(bed.rows.dump().await);
                }
                let answered = bed.call(call).await;
                let place = format!("{role} {}", operation.id);
                if allowed {
                    before = None;
                    assert!(
                        ![401, 403, 500].contains(&answered.status),
                        "{place}: {}",
                        answered.text()
                    );
                    if operation.is_list() {
                        assert_eq!(answered.status, 200, "{place}: {}", answered.text());
                    }
                } else {
                    assert_eq!(answered.status, 403, "{place}: {}", answered.text());
                    answered.problem(403);
                    assert_eq!(Some(bed.rows.dump().await), before, "{place}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_provider_names_the_account_or_means_its_own() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let asked = |it: &Operation| !it.is_public() && !it.is_own();
    for operation in operations::all().into_iter().filter(asked) {
        let answered = bed.call(request(&operation, &tenant).bearer(&bed.admin)).await;
        match operation.reach {
            Reach::Account => {
                let problem = answered.problem(400);
                assert_eq!(problem["errors"][0]["field"], "Kabar-Account", "{}", operation.id);
            }
            // A tenant's user or key is none of the provider's own.
            Reach::Either if operation.path.contains("{id}") => {
                answered.problem(404);
            }
            Reach::Either if operation.is_list() => {
                let list = answered.expect(200);
                if operation.id != "listEvents" {
                    no_ids(&list, &tenant, &operation.id);
                }
            }
            Reach::Either | Reach::Installation => {
                assert!(![400, 401, 403, 500].contains(&answered.status), "{}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn an_account_that_nobody_has_does_not_exist() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let before = bed.rows.dump().await;
        let nobody = "acc_000000000000000000000000000000ff";
        // Who logs in acts in no account yet.
        let inside = |operation: &Operation| !operation.is_public() && !operation.is_own();
        for operation in operations::all().into_iter().filter(inside) {
            let call = request(&operation, &tenant).bearer(&bed.admin).account(nobody);
            let problem = bed.call(call).await.problem(404);
            assert_eq!(problem["errors"][0]["field"], "Kabar-Account", "{}", operation.id);
        }
        assert_eq!(bed.rows.dump().await, before);
    })
    .await;
}

#[track_caller]
fn no_ids(answer: &Value, tenant: &Tenant, place: &str) {
    let text = answer.to_string();
    for id in tenant.ids() {
        assert!(!text.contains(id), "{place} shows {id} of another account");
    }
}

#[tokio::test]
async fn another_tenants_rows_do_not_exist() {
    Bed::each(async |bed| {
        let (other, own) = (bed.tenant(1).await, bed.tenant(2).await);
        let before = bed.rows.dump().await;
        for operation in operations::all().into_iter().filter(|it| !it.is_public()) {
            let place = &operation.id;
            let token = if operation.is_own() { &own.access } else { &own.token };
            if operation.path.contains("{id}") {
                let answered = bed.call(request(&operation, &other).bearer(token)).await;
                let status = if operation.allows(Role::Customer) { 404 } else { 403 };
                assert_eq!(answered.status, status, "{place}: {}", answered.text());
                no_ids(&without_details(&answered.problem(status)), &other, place);
            }
            if operation.allows(Role::Customer) {
                let call = request(&operation, &own).bearer(token).account(&other.account);
                bed.call(call).await.problem(404);
            }
            if operation.is_list() && operation.allows(Role::Customer) {
                let path = format!("/api/v1{}", operation.path);
                let list = bed.call(Call::get(&path).bearer(token)).await.expect(200);
                no_ids(&list, &other, place);
            }
        }
        for filter in [
            format!("/messages?device={}", other.device),
            format!("/messages?contact={}", other.contact),
            format!("/messages?conversation={}", other.conversation),
            format!("/conversations?device={}", other.device),
            format!("/rules?device={}", other.device),
            format!("/deliveries?endpoint={}", other.webhook),
            "/contacts?phone=628120000001".to_owned(),
            format!("/contacts?group={}", other.group),
        ] {
            let call = Call::get(format!("/api/v1{filter}")).bearer(&own.token);
            let list = bed.call(call).await.expect(200);
            assert_eq!(list["items"], serde_json::json!([]), "{filter}");
        }
        for (operation, field, body) in foreign_bodies(&own, &other) {
            let (method, path) = operation.split_once(' ').unwrap();
            let path = format!("/api/v1{}", path.replace("{own}", &own.device));
            let call = Call::new(method.parse().unwrap(), path).bearer(&own.token).json(&body);
            let problem = bed.call(call).await.problem(404);
            assert_eq!(problem["errors"][0]["field"], field, "{operation}: {problem}");
        }
        assert_eq!(bed.rows.dump().await, before);
    })
    .await;
}

/// A problem may repeat the id that it was asked for, and no other.
fn without_details(problem: &Value) -> Value {
    let mut problem = problem.clone();
    problem["detail"] = Value::Null;
    problem["errors"] = Value::Null;
    problem
}

#[tokio::test]
async fn a_device_token_reaches_its_device() {
    Bed::each(async |bed| {
        let (own, other) = (bed.tenant(1).await, bed.tenant(2).await);
        let before = bed.rows.dump().await;
        for operation in operations::all().into_iter().filter(|it| !it.is_public()) {
            let place = &operation.id;
            if !by_device(&operation) {
                let answered = bed.call(request(&operation, &own).bearer(&own.device_token)).await;
                answered.problem(403);
            } else if operation.path.contains("{id}") {
                let foreign = bed.call(request(&operation, &other).bearer(&own.device_token)).await;
                assert_eq!(foreign.status, 404, "{place}: {}", foreign.text());
            } else if operation.is_list() {
                let path = format!("/api/v1{}", operation.path);
                let list = bed.call(Call::get(&path).bearer(&own.device_token)).await.expect(200);
                no_ids(&list, &other, place);
                assert!(!list.to_string().contains(&own.other_device), "{place}");
            }
        }
        // The account's other device is out of reach, too.
        let sibling = Tenant { device: own.other_device.clone(), ..own.clone() };
        for operation in operations::all() {
            if by_device(&operation) && operation.path.starts_with("/devices/{id}") {
                let call = request(&operation, &sibling).bearer(&own.device_token);
                bed.call(call).await.problem(404);
            }
        }
        let body = operations::message(
            &own.other_device,
            &serde_json::json!({ "phone": "+628999888777" }),
        );
        let call = Call::post("/api/v1/messages").bearer(&own.device_token).json(&body);
        bed.call(call).await.problem(404);
        assert_eq!(bed.rows.dump().await, before);
        for path in [
            format!("/api/v1/devices/{}", own.device),
            format!("/api/v1/messages/{}", own.message),
            format!("/api/v1/conversations/{}", own.conversation),
        ] {
            bed.call(Call::get(path).bearer(&own.device_token)).await.expect(200);
        }
    })
    .await;
}
