//! Nothing private is reached, whatever a tenant, a receiver or a name server says.

use std::sync::Arc;

use chrono::TimeDelta;
use kabar::webhooks::{EndpointError, EndpointPatch, EndpointSettings, NewEndpoint};
use kabar_testkit::accounts::grant;

use super::bed::{Does, Receiver, each_bed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_no_endpoints() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        for text in [
            "http://127.0.0.1:9/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data/",
            "https://user:password@example.com/",
            "https://example.com:25/",
        ] {
            let url: url::Url = text.parse().unwrap();
            let settings = EndpointSettings::new(url.clone(), vec!["*".parse().unwrap()]);
            let new = NewEndpoint { settings, secret: None };
            let webhooks = bed.platform.webhooks();
            let refused = webhooks.create(&grant(bed.account), new, None).await.unwrap_err();
            assert!(matches!(&refused, EndpointError::Invalid(it) if it.field == "url"), "{text}");
            let patch = EndpointPatch { url: Some(url), ..Default::default() };
            let refused = webhooks.update(&grant(bed.account), id, patch).await.unwrap_err();
            assert!(matches!(&refused, EndpointError::Invalid(it) if it.field == "url"), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_and_changing_names_reach_nothing_private() {
    each_bed(|bed| async move {
        let canary = Arc::new(Receiver::default());
        let private = canary.start("127.0.0.1").await;
        // Both listen on the same port, so that a name alone decides.
        let port: u16 = private.rsplit(':').next().unwrap().parse().unwrap();
        let (_, public) = bed.address.split_at("http://".len());
        let public_port = public.rsplit(':').next().unwrap();
        bed.endpoint("redirects").await;
        bed.receiver
            .always("redirects", Does::AnswerWith(302, "location", format!("{private}/stolen")));
        bed.names.set("turns.example", &["127.0.0.2"]);
        bed.names.set("mixed.example", &["127.0.0.2", "127.0.0.1"]);
        bed.names.set("inside.example", &["127.0.0.1"]);
        bed.names.set("mapped.example", &["::ffff:127.0.0.1"]);
        for (host, port) in [
            ("turns", public_port.to_owned()),
            ("mixed", public_port.to_owned()),
            ("inside", port.to_string()),
            ("mapped", port.to_string()),
            ("unknown", port.to_string()),
        ] {
            let url = format!("http://{host}.example:{port}/{host}").parse().unwrap();
            let mut settings = bed.settings("x", "contact.*");
            settings.url = url;
            bed.make(settings).await;
        }
        bed.happens(2).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("turns"), 2, "a public name is reached");
        // The name changes its mind, and every connection is a new one.
        bed.names.set("turns.example", &["127.0.0.1"]);
        for _ in 0..4 {
            bed.happens(3).await;
            bed.drain().await;
            bed.wait(TimeDelta::minutes(10));
        }
        assert_eq!(canary.got.lock().unwrap().len(), 0, "nothing private was reached");
        assert_eq!(bed.receiver.count("mixed"), 0, "one private answer spoils them all");
        assert!(bed.receiver.count("redirects") > 0);
        let failed = bed.deliveries(kabar::webhooks::DeliveryFilter::default()).await;
        let why = |word: &str| failed.iter().any(|it| it.last_error.as_deref() == Some(word));
        assert!(why("redirected") && why("address_refused") && why("no_connection"));
    })
    .await;
}
