//! The native REST API, `/api/v1`.
//!
//! One module per area; in each, what the API reads and writes, and the operations. Operations take
//! their proof of permission, translate, call one service, and translate back.

pub mod accounts;
pub mod answer;
pub mod body;
pub mod contacts;
pub mod content;
pub mod conversations;
pub mod devices;
pub mod document;
pub mod events;
pub mod keys;
pub mod media;
pub mod messages;
pub mod meta_apps;
pub mod rules;
pub mod upload;
pub mod users;
pub mod words;

use std::collections::HashMap;
use std::marker::PhantomData;

use kabar::Platform;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{OpenApi, OpenApiService, Tags};

/// The areas of the API.
#[derive(Debug, Clone, Copy, Tags)]
#[oai(rename_all = "lowercase")]
pub enum Area {
    /// Tenants.
    Accounts,
    /// People who can log in.
    Users,
    /// API keys.
    Keys,
    /// WhatsApp numbers.
    Devices,
    /// Meta apps, whose webhooks come in.
    #[oai(rename = "meta-apps")]
    MetaApps,
    /// People and groups that a tenant talks with.
    Contacts,
    /// Chats.
    Conversations,
    /// Messages, out and in.
    Messages,
    /// Files.
    Media,
    /// Autoreply rules.
    Rules,
    /// What happened.
    Events,
}

/// Every operation, over nothing: for the document.
type Everything = (
    accounts::AccountsApi,
    users::UsersApi,
    keys::KeysApi,
    devices::DevicesApi,
    meta_apps::MetaAppsApi,
    contacts::ContactsApi,
    conversations::ConversationsApi,
    messages::MessagesApi,
    media::MediaApi,
    rules::RulesApi,
    events::EventsApi,
);

fn everything(platform: &Platform) -> Everything {
    (
        accounts::AccountsApi(platform.clone()),
        users::UsersApi(platform.clone()),
        keys::KeysApi(platform.clone()),
        devices::DevicesApi(platform.clone()),
        meta_apps::MetaAppsApi(platform.clone()),
        contacts::ContactsApi(platform.clone()),
        conversations::ConversationsApi(platform.clone()),
        messages::MessagesApi(platform.clone()),
        media::MediaApi(platform.clone()),
        rules::RulesApi(platform.clone()),
        events::EventsApi(platform.clone()),
    )
}

/// The API of a platform.
pub fn service(platform: &Platform) -> OpenApiService<impl OpenApi + use<>, ()> {
    described(everything(platform))
}

fn described<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Kabar", env!("CARGO_PKG_VERSION"))
        .description(document::INTRODUCTION)
        .license("MIT OR Apache-2.0")
        .server("/api/v1")
}

/// The operations without a platform: enough for the document.
struct Described(PhantomData<fn() -> Everything>);

impl OpenApi for Described {
    fn meta() -> Vec<MetaApi> {
        Everything::meta()
    }

    fn register(registry: &mut Registry) {
        Everything::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The document as the library writes it.
fn spec() -> String {
    described(Described(PhantomData)).spec()
}
