//! Meta apps.

use kabar_core::{ExposeSecret as _, MetaAppId, PageRequest, Secret};
use kabar_devices::{DeviceError, MetaAppError, NewMetaApp, Registration, installation_app};

use super::{Fleet, registration};
use crate::accounts::{grant, once, provider};

pub(super) async fn contract(fleet: &Fleet) {
    the_installations_app_keeps_its_id(fleet).await;
    apps_are_added_and_removed(fleet).await;
    tenants_use_their_own(fleet).await;
}

fn new_app() -> NewMetaApp {
    NewMetaApp {
        name: "My app".to_owned(),
        meta_app_id: Some("123".to_owned()),
        app_secret: Secret::from("app secret"),
        verify_token: Secret::from("verify"),
    }
}

async fn secrets(fleet: &Fleet, id: MetaAppId) -> Option<(String, String)> {
    let app = fleet.apps.webhook_app(provider(), id).await.unwrap()?;
    Some((app.app_secret.expose_secret().to_owned(), app.verify_token.expose_secret().to_owned()))
}

async fn the_installations_app_keeps_its_id(fleet: &Fleet) {
    let ensure = async |secret: &str, word: &str| {
        let (secret, word) = (Secret::from(secret), Secret::from(word));
        fleet.apps.ensure_installation_app(&secret, &word).await.unwrap()
    };
    let one = ensure("s1", "v1").await;
    assert_eq!((one.id, one.account), (installation_app(), None));
    assert_eq!(ensure("s1", "v1").await, one);
    let (two, three) = tokio::join!(ensure("s2", "v2"), ensure("s2", "v2"));
    assert_eq!((&two, &three), (&one, &one));
    let expected = ("s2".to_owned(), "v2".to_owned());
    assert_eq!(secrets(fleet, one.id).await, Some(expected));
}

async fn apps_are_added_and_removed(fleet: &Fleet) {
    let account = fleet.tenancy.account("Apps").await;
    let request = once("meta_apps.create", "m", 1);
    let write = grant(account);
    let create = || fleet.apps.create(&write, new_app(), Some(&request));
    let app = create().await.unwrap();
    assert_eq!(create().await.unwrap(), app);
    assert_eq!(fleet.apps.get(&grant(account), app.id).await.unwrap(), app);
    let list = fleet.apps.list(&grant(account), PageRequest::default()).await.unwrap();
    assert_eq!(list.items, std::slice::from_ref(&app));
    let expected = ("app secret".to_owned(), "verify".to_owned());
    assert_eq!(secrets(fleet, app.id).await, Some(expected));

    let using = Registration { app: Some(app.id), ..registration("4001") };
    let device = fleet.devices.register(&grant(account), using, None).await.unwrap();
    let refused = fleet.apps.remove(&grant(account), app.id).await;
    assert!(matches!(refused, Err(MetaAppError::InUse)), "{refused:?}");
    assert!(secrets(fleet, app.id).await.is_some());
    fleet.devices.remove(&grant(account), device.device.id).await.unwrap();
    fleet.apps.remove(&grant(account), app.id).await.unwrap();
    assert_eq!(secrets(fleet, app.id).await, None);

    for (field, new) in [
        ("name", NewMetaApp { name: String::new(), ..new_app() }),
        ("meta_app_id", NewMetaApp { meta_app_id: Some("x".to_owned()), ..new_app() }),
        ("app_secret", NewMetaApp { app_secret: Secret::from(""), ..new_app() }),
        ("verify_token", NewMetaApp { verify_token: Secret::from("a\0"), ..new_app() }),
    ] {
        let refused = fleet.apps.create(&grant(account), new, None).await;
        assert!(
            matches!(&refused, Err(MetaAppError::Invalid(e)) if e.field == field),
            "{refused:?}"
        );
    }
}

async fn tenants_use_their_own(fleet: &Fleet) {
    let (mine, other) = (fleet.tenancy.account("Mine").await, fleet.tenancy.account("Other").await);
    let app = fleet.apps.create(&grant(mine), new_app(), None).await.unwrap();
    for foreign in [app.id, installation_app()] {
        let read = fleet.apps.get(&grant(other), foreign).await;
        assert!(matches!(read, Err(MetaAppError::NotFound)), "{read:?}");
        let removed = fleet.apps.remove(&grant(other), foreign).await;
        assert!(matches!(removed, Err(MetaAppError::NotFound)), "{removed:?}");
        let using = Registration { app: Some(foreign), ..registration("4002") };
        let refused = fleet.devices.register(&grant(other), using, None).await;
        assert!(
            matches!(&refused, Err(DeviceError::Invalid(e)) if e.field == "app_id"),
            "{refused:?}"
        );
    }
    assert!(secrets(fleet, app.id).await.is_some());
}
