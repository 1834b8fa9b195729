//! Tokens, numbers, accounts, templates, profiles, subscriptions.

use kabar_sandbox::{
    DEFAULT_APP_ID, DEFAULT_PHONE_NUMBER_ID as NUMBER, DEFAULT_TOKEN, DEFAULT_WABA_ID as WABA,
    Inbound, NewAccount, NewNumber,
};
use serde_json::json;

use crate::bed::{Bed, CUSTOMER, answer, code, receiver};

#[tokio::test]
async fn tokens_are_checked() {
    let bed = Bed::new().await;
    let url = bed.graph(NUMBER);
    let bare = bed.client.get(&url);
    let wrong = bed.client.get(&url).bearer_auth("wrong");
    for request in [bare, wrong] {
        let (status, answer) = answer(request).await;
        assert_eq!((status, code(&answer)), (401, 190));
        assert_eq!(answer["error"]["type"], "OAuthException");
    }
    let in_query = format!("{url}?access_token={DEFAULT_TOKEN}");
    assert_eq!(answer(bed.client.get(in_query)).await.0, 200);
    bed.sandbox.expire_token(DEFAULT_TOKEN).unwrap();
    let (status, answer) = bed.get(NUMBER).await;
    assert_eq!((status, &answer["error"]["error_subcode"]), (401, &json!(463)));
    bed.sandbox.add_token(WABA, Some(DEFAULT_TOKEN.to_owned())).unwrap();
    assert_eq!(bed.get(NUMBER).await.0, 200);
}

#[tokio::test]
async fn any_version_or_none_is_served() {
    let bed = Bed::new().await;
    for prefix in ["v25.0/", "v19.0/", "v26.0/", ""] {
        let url = bed.url(&format!("{prefix}{NUMBER}"));
        assert_eq!(answer(bed.client.get(url).bearer_auth(DEFAULT_TOKEN)).await.0, 200);
    }
    assert_eq!(code(&bed.get("no/such/path").await.1), 2_500);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let bed = Bed::new().await;
    let other = bed.sandbox.add_account(NewAccount::default()).unwrap();
    let (foreign, token) = (&other.numbers[0].id, &other.tokens[0]);
    for path in [foreign.clone(), format!("{}/phone_numbers", other.waba_id), "123".to_owned()] {
        let (status, answer) = bed.get(&path).await;
        assert_eq!((status, code(&answer)), (400, 100), "{path}");
        assert_eq!(answer["error"]["error_subcode"], 33);
    }
    let send = json!({"messaging_product": "whatsapp", "to": CUSTOMER, "text": {"body": "a"}});
    let (status, refused) = bed.post(&format!("{foreign}/messages"), &send).await;
    assert_eq!((status, &refused["error"]["error_subcode"]), (400, &json!(33)));
    let own = bed.client.post(bed.graph(&format!("{foreign}/messages"))).bearer_auth(token);
    assert_eq!(answer(own.json(&send)).await.0, 200);
}

#[tokio::test]
async fn numbers_are_listed_in_pages_with_fields() {
    let bed = Bed::new().await;
    for _ in 0..4 {
        bed.sandbox.add_number(WABA, NewNumber::default()).unwrap();
    }
    let mut seen = Vec::new();
    let mut next =
        Some(bed.graph(&format!("{WABA}/phone_numbers?limit=2&fields=status,throughput{{level}}")));
    while let Some(url) = next {
        let (status, page) = answer(bed.client.get(url).bearer_auth(DEFAULT_TOKEN)).await;
        assert_eq!(status, 200);
        for number in page["data"].as_array().unwrap() {
            seen.push(number["id"].as_str().unwrap().to_owned());
        }
        next = page["paging"]["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0], NUMBER);
    let (_, number) = bed.get(&format!("{NUMBER}?fields=display_phone_number,status")).await;
    assert_eq!(
        number,
        json!({"id": NUMBER, "display_phone_number": "+1 555-078-3881", "status": "CONNECTED"})
    );
}

#[tokio::test]
async fn a_number_must_be_registered_to_send() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    assert_eq!(bed.post(&format!("{NUMBER}/deregister"), &json!({})).await.0, 200);
    assert_eq!(code(&bed.send_text("a").await.1), 133_010);
    let register = format!("{NUMBER}/register");
    let wrong = json!({"messaging_product": "whatsapp", "pin": "12"});
    assert_eq!(code(&bed.post(&register, &wrong).await.1), 100);
    let right = json!({"messaging_product": "whatsapp", "pin": "123456"});
    assert_eq!(bed.post(&register, &right).await, (200, json!({"success": true})));
    assert_eq!(bed.send_text("a").await.0, 200);
}

#[tokio::test]
async fn templates_are_filtered_and_created() {
    let bed = Bed::new().await;
    let count = async |query: &str| {
        let (_, page) = bed.get(&format!("{WABA}/message_templates?{query}")).await;
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 8);
    assert_eq!(count("status=PENDING").await, 1);
    assert_eq!(count("language=id").await, 3);
    assert_eq!(count("name=order&language=en_US").await, 1);
    let new = json!({"name": "fresh", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hi {{1}}"}]});
    let (status, created) = bed.post(&format!("{WABA}/message_templates"), &new).await;
    assert_eq!((status, &created["status"]), (200, &json!("APPROVED")));
    let (_, shown) = bed.get(created["id"].as_str().unwrap()).await;
    assert_eq!(shown["name"], "fresh");
    assert_eq!(bed.delete(&format!("{WABA}/message_templates?name=fresh")).await.0, 200);
    assert_eq!(count("").await, 8);
}

#[tokio::test]
async fn read_marks_are_taken_and_kept() {
    let bed = Bed::new().await;
    let receipt = bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    let mark = json!({"messaging_product": "whatsapp", "status": "read",
        "message_id": receipt.wamid, "typing_indicator": {"type": "text"}});
    let (status, answer) = bed.post(&format!("{NUMBER}/messages"), &mark).await;
    assert_eq!((status, answer), (200, json!({"success": true})));
    let marks = bed.sandbox.read_marks();
    assert_eq!((marks.len(), marks[0].wamid == receipt.wamid, marks[0].typing), (1, true, true));
}

#[tokio::test]
async fn profiles_are_kept_within_limits() {
    let bed = Bed::new().await;
    let path = format!("{NUMBER}/whatsapp_business_profile");
    let product = ("messaging_product", json!("whatsapp"));
    let body = |key: &str, value| json!({product.0: product.1, key: value});
    assert_eq!(bed.post(&path, &body("about", json!("Open 9-5"))).await.0, 200);
    assert_eq!(bed.post(&path, &body("about", json!("x".repeat(140)))).await.0, 400);
    assert_eq!(bed.post(&path, &body("vertical", json!("PIRACY"))).await.0, 400);
    assert_eq!(bed.post(&path, &body("websites", json!(["a", "b", "c"]))).await.0, 400);
    let (_, profile) = bed.get(&format!("{path}?fields=about,email")).await;
    assert_eq!(profile["data"][0], json!({"about": "Open 9-5", "messaging_product": "whatsapp"}));
}

#[tokio::test]
async fn subscriptions_decide_where_webhooks_go() {
    let bed = Bed::new().await;
    let path = format!("{WABA}/subscribed_apps");
    let (_, apps) = bed.get(&path).await;
    assert_eq!(apps["data"][0]["whatsapp_business_api_data"]["id"], DEFAULT_APP_ID);
    bed.delete(&path).await;
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "unheard")).unwrap();
    bed.quiet().await;
    assert!(bed.receiver.messages().is_empty());

    let other = receiver().await;
    let callback =
        json!({"override_callback_uri": *other.url.lock().unwrap(), "verify_token": "no"});
    assert_eq!(bed.post(&path, &callback).await.0, 400);
    let callback = json!({"override_callback_uri": *other.url.lock().unwrap(), "verify_token": "sandbox-verify-token"});
    assert_eq!(bed.post(&path, &callback).await.0, 200);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "heard")).unwrap();
    bed.quiet().await;
    assert_eq!((other.messages().len(), bed.receiver.messages().len()), (1, 0));

    let number = json!({"webhook_configuration": {
        "override_callback_uri": *bed.receiver.url.lock().unwrap(),
        "verify_token": "sandbox-verify-token"}});
    assert_eq!(bed.post(NUMBER, &number).await.0, 200);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "closer")).unwrap();
    bed.quiet().await;
    assert_eq!((other.messages().len(), bed.receiver.messages().len()), (1, 1));
}

#[tokio::test]
async fn an_app_sets_its_own_callback() {
    let bed = Bed::new().await;
    let other = receiver().await;
    let url = bed.graph(&format!("{DEFAULT_APP_ID}/subscriptions"));
    let form = [
        ("object", "whatsapp_business_account".to_owned()),
        ("callback_url", other.url.lock().unwrap().clone()),
        ("verify_token", "sandbox-verify-token".to_owned()),
        ("fields", "messages".to_owned()),
    ];
    let token = format!("{DEFAULT_APP_ID}|sandbox-app-secret");
    let request = bed.client.post(&url).bearer_auth(&token).form(&form);
    assert_eq!(answer(request).await, (200, json!({"success": true})));
    let debug = bed.graph(&format!("debug_token?input_token={DEFAULT_TOKEN}"));
    let (_, shown) = answer(bed.client.get(debug).bearer_auth(&token)).await;
    assert_eq!(shown["data"]["is_valid"], true);
    assert_eq!(shown["data"]["granular_scopes"][0]["target_ids"], json!([WABA]));
}
