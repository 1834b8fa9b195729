//! The engine's HTTP: files up and down, over the one client of the process, or a session's proxy.

use std::time::Duration;

use async_trait::async_trait;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::anyhow::{self, Context as _};

use crate::route::Route;

/// A host of WhatsApp's answers within a second.
const CONNECT: Duration = Duration::from_secs(10);
/// A file of 100 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_mins(10);

/// HTTP for the engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    /// What takes the place of `https://HOST`, for a sandbox.
    instead: Option<String>,
    /// The session that it is for, if it is for one.
    route: Option<Route>,
}

impl Http {
    pub(crate) fn new(instead: Option<&str>) -> Result<Self, reqwest::Error> {
        let instead = instead.map(|base| base.trim_end_matches('/').to_owned());
        Ok(Self { client: kabar_outbound::tls::client(builder)?, instead, route: None })
    }

    /// The same on the way of a session.
    pub(crate) fn on(&self, route: Route) -> Self {
        Self { route: Some(route), ..self.clone() }
    }

    async fn client(&self) -> anyhow::Result<reqwest::Client> {
        let Some(route) = &self.route else { return Ok(self.client.clone()) };
        Ok(match route.proxy().await? {
            Some(proxy) => kabar_outbound::tls::client(|| builder().proxy(proxy.clone()))?,
            None => self.client.clone(),
        })
    }

    /// The address that is really asked: the engine always names a host of WhatsApp's.
    fn address(&self, url: &str) -> anyhow::Result<String> {
        let Some(instead) = &self.instead else {
            return Ok(url.to_owned());
        };
        let url = url::Url::parse(url).context("the address of a file cannot be read")?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(format!("{instead}{}{query}", url.path()))
    }
}

fn builder() -> reqwest::ClientBuilder {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().connect_timeout(CONNECT).timeout(TIMEOUT).redirect(none)
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes())?;
        let mut asked = self.client().await?.request(method, self.address(&request.url)?);
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        if let Some(body) = request.body {
            asked = asked.body(body);
        }
        let answer = asked.send().await?;
        let status_code = answer.status().as_u16();
        Ok(HttpResponse { status_code, body: answer.bytes().await?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_takes_the_place_of_every_host() {
        let http = Http::new(Some("http://127.0.0.1:7/")).unwrap();
        let address = http.address("https://mmg.whatsapp.net/v/t62?auth=a&b=c").unwrap();
        assert_eq!(address, "http://127.0.0.1:7/v/t62?auth=a&b=c");
        let plain = Http::new(None).unwrap();
        assert_eq!(
            plain.address("https://mmg.whatsapp.net/v").unwrap(),
            "https://mmg.whatsapp.net/v"
        );
    }
}
