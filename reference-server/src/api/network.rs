//! What a device's network is asked: who is on it, and which groups the device is in.

use kabar::Platform;
use kabar::channel::ports::{GroupInfo, Listing};
use kabar::core::permission::SendMessages;
use kabar::core::{DeviceId, PhoneNumber};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Listed};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::problem::Problem;

/// Numbers to look up.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NumbersToCheck")]
#[serde(deny_unknown_fields)]
pub struct NumbersBody {
    /// 1 to 50 numbers with `+` and country code.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub numbers: Vec<String>,
}

/// What the network's directory says of a number.
#[derive(Debug, Object)]
#[oai(rename = "CheckedNumber")]
pub struct ListingView {
    /// The number.
    pub phone: String,
    /// Whether somebody has it on WhatsApp.
    pub exists: bool,
    /// Their linked id, where it is told.
    pub lid: Option<String>,
    /// Whether it is a business.
    pub business: bool,
    /// The business's verified name.
    pub verified_name: Option<String>,
}

impl From<Listing> for ListingView {
    fn from(listing: Listing) -> Self {
        Self {
            phone: listing.phone.as_str().to_owned(),
            exists: listing.exists,
            lid: listing.lid,
            business: listing.business,
            verified_name: listing.verified_name,
        }
    }
}

/// A group that a device is in.
#[derive(Debug, Object)]
#[oai(rename = "DeviceGroup")]
pub struct DeviceGroupView {
    /// What messages to it are addressed to.
    pub id: String,
    /// What its members call it.
    pub name: String,
    /// What it says it is for.
    pub description: Option<String>,
    /// How many are in it.
    pub members: u32,
    /// Whether the device administers it.
    pub admin: bool,
    /// Whether only administrators may write.
    pub announcement: bool,
}

impl From<GroupInfo> for DeviceGroupView {
    fn from(group: GroupInfo) -> Self {
        Self {
            id: group.id,
            name: group.name,
            description: group.description,
            members: group.members,
            admin: group.admin,
            announcement: group.announcement,
        }
    }
}

/// Where a profile picture is.
#[derive(Debug, Object)]
#[oai(rename = "ProfilePicture")]
pub struct PictureView {
    /// Its address, which works for some days; null when there is none, or none for this device.
    pub url: Option<String>,
}

/// The operations.
pub struct NetworkApi(pub Platform);

#[OpenApi(tag = "Area::Devices")]
impl NetworkApi {
    /// Check whether numbers are on WhatsApp
    ///
    /// Over a paired device, in the order that they were given. WhatsApp bans numbers that look many
    /// up: check those that you are about to write to. A device of a channel that does not tell
    /// answers 422; one that is not connected, or is connected by another node than the one that
    /// answers, 503. Needs `messages:send`.
    #[oai(path = "/devices/:id/check-numbers", method = "post", operation_id = "checkNumbers")]
    async fn check(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<DeviceId>>,
        body: JsonBody<NumbersBody>,
    ) -> Answer<Listed<ListingView>> {
        let numbers = body.value.numbers.iter().enumerate();
        let numbers = numbers.map(|(place, text)| number(&format!("numbers[{place}]"), text));
        let numbers = numbers.collect::<Result<Vec<PhoneNumber>, Problem>>()?;
        let found = self.0.devices().look_up(&may.grant, id.0.0, &numbers).await?;
        Ok(whole(found))
    }

    /// List the groups that a device is in
    ///
    /// As WhatsApp tells them now, by name, on one page. Answers 422 and 503 as the check of numbers
    /// does. Needs `messages:send`.
    #[oai(path = "/devices/:id/groups", method = "get", operation_id = "listDeviceGroups")]
    async fn groups(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<Listed<DeviceGroupView>> {
        Ok(whole(self.0.devices().groups(&may.grant, id.0.0).await?))
    }

    /// Get somebody's profile picture
    ///
    /// Answers 422 and 503 as the check of numbers does. Needs `messages:send`.
    #[oai(path = "/devices/:id/picture", method = "get", operation_id = "getProfilePicture")]
    async fn picture(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<DeviceId>>,
        /// The number, with `+` and country code.
        phone: Query<String>,
    ) -> Answer<PictureView> {
        let phone = number("phone", &phone.0)?;
        let url = self.0.devices().picture(&may.grant, id.0.0, phone).await?;
        Ok(Json(PictureView { url }))
    }
}

fn number(field: &str, text: &str) -> Result<PhoneNumber, Problem> {
    PhoneNumber::parse(text, None).map_err(|error| Problem::invalid(field, error.to_string()))
}

/// A list that the network tells at once.
fn whole<D, T>(items: Vec<D>) -> Json<Listed<T>>
where
    T: From<D> + poem_openapi::types::ParseFromJSON + poem_openapi::types::ToJSON,
{
    Listed::of(kabar::core::Page { items, next: None })
}
