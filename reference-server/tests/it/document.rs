//! The OpenAPI document.

use std::collections::BTreeSet;

use kabar_server::openapi_document;
use serde_json::Value;

use crate::bed::{Bed, Call};
use crate::snapshots;

#[test]
fn the_document_is_committed() {
    snapshots::check("openapi.json", &openapi_document());
}

#[test]
fn every_operation_is_described() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            for field in ["operationId", "summary", "description"] {
                assert!(operation[field].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            }
            assert!(ids.insert(operation["operationId"].to_string()), "{place}: its id is taken");
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{place}");
            let description = operation["description"].as_str().unwrap().replace('\n', " ");
            let public = description.contains("Needs nothing.");
            let secured = operation["security"].as_array().is_some_and(|list| !list.is_empty());
            assert_ne!(public, secured, "{place}");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["400", "401", "403", "404", "422", "503"] {
                let name = format!("Problem{status}");
                assert_eq!(
                    responses[status]["$ref"],
                    format!("#/components/responses/{name}"),
                    "{place}"
                );
                let content = &document["components"]["responses"][name]["content"];
                assert!(content["application/problem+json"].is_object(), "{place} {status}");
            }
            let made = method == "post"
                && (responses.contains_key("201") || responses.contains_key("202"));
            let parameters = operation["parameters"].as_array().unwrap();
            let keyed = parameters.iter().any(|one| one["name"] == "Idempotency-Key");
            assert!(!made || keyed, "{place}");
        }
    }
    assert!(ids.len() > 40);
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let bed = Bed::new().await;
    let answered = bed.call(Call::get("/api/v1/openapi.json")).await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.text(), openapi_document());
    let page = bed.call(Call::get("/api/docs")).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("SwaggerUIBundle"));
    for part in ["src=\"http", "href=\"http", "@import"] {
        assert!(!text.contains(part), "the page loads something from elsewhere: {part}");
    }
}

#[tokio::test]
async fn health() {
    let bed = Bed::new().await;
    for path in ["/healthz", "/readyz"] {
        let answered = bed.call(Call::get(path)).await;
        assert_eq!((answered.status, answered.text().as_str()), (200, "ok"), "{path}");
    }
    bed.platform.database().close().await;
    assert_eq!(bed.call(Call::get("/healthz")).await.status, 200);
    bed.call(Call::get("/readyz")).await.problem(503);
    let call = Call::get("/api/v1/devices").bearer(&bed.admin);
    let answered = bed.call(call).await;
    answered.problem(503);
    assert_eq!(answered.header("retry-after"), Some("1"));
}
