//! Files: upload, look-up, download, delete.

use bytes::Bytes;
use kabar_core::Secret;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde::Deserialize;
use url::Url;

use super::client::{failure, read, send};
use super::models;
use super::{GraphClient, GraphError, MediaInfo};

/// The largest file that we download, in bytes: Meta takes 100 MB.
const MAX_FILE: usize = 128 * 1024 * 1024;

#[derive(Deserialize)]
struct Id {
    #[serde(deserialize_with = "models::id")]
    id: String,
}

impl GraphClient {
    /// Uploads a file for a number; the answer is its id, good for 30 days.
    pub async fn upload_media(
        &self,
        token: &Secret,
        number: &str,
        mime: &str,
        filename: &str,
        bytes: Bytes,
    ) -> Result<String, GraphError> {
        let length = bytes.len() as u64;
        let part = Part::stream_with_length(Body::from(bytes), length)
            .file_name(filename.to_owned())
            .mime_str(mime)
            .map_err(|_| GraphError::Config(format!("`{mime}` is not a media type")))?;
        let form = Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", mime.to_owned())
            .part("file", part);
        let request = self
            .request(Method::POST, self.address(&[number, "media"])?, token)
            .timeout(self.config.media_timeout)
            .multipart(form);
        let id: Id = self.json(request, token).await?;
        Ok(id.id)
    }

    /// Where a file's bytes are, for the next 5 minutes.
    pub async fn media_info(
        &self,
        token: &Secret,
        number: &str,
        media: &str,
    ) -> Result<MediaInfo, GraphError> {
        self.get(token, &[media], &[("phone_number_id", number)]).await
    }

    /// The bytes behind [`MediaInfo::url`], and the media type that the answer bore.
    pub async fn download_media(
        &self,
        token: &Secret,
        url: &str,
    ) -> Result<(Bytes, Option<String>), GraphError> {
        let request = self
            .request(Method::GET, self.media_address(url)?, token)
            .timeout(self.config.media_timeout);
        let response = send(request).await?;
        if !response.status().is_success() {
            return Err(failure(response, token).await);
        }
        let mime = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Ok((Bytes::from(read(response, MAX_FILE).await?), mime))
    }

    /// Deletes a file at Meta.
    pub async fn delete_media(
        &self,
        token: &Secret,
        number: &str,
        media: &str,
    ) -> Result<(), GraphError> {
        self.delete(token, &[media], &[("phone_number_id", number)]).await
    }

    /// The token must not travel unencrypted unless the whole configuration says so.
    fn media_address(&self, url: &str) -> Result<Url, GraphError> {
        let plain = self.config.base_url.scheme() == "http";
        Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"))
            .ok_or_else(|| GraphError::Unreadable("the file's address is not https".to_owned()))
    }
}
