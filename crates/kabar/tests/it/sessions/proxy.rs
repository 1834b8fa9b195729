//! Devices behind proxies that their tenants name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kabar::core::Secret;
use kabar::devices::{DeviceError, DevicePatch, DeviceState, NewPaired};
use kabar::messaging::Status;
use kabar_sandbox::multi_device::Ending;
use kabar_testkit::accounts::grant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::harbour::{Harbour, PATIENCE, Ship, each_harbour};

/// A SOCKS proxy with a password (RFC 1928, RFC 1929).
struct Socks {
    port: u16,
    /// Where it was asked to go.
    asked: Arc<Mutex<Vec<String>>>,
    closed: Arc<AtomicBool>,
}

impl Socks {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, closed) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (places, shut) = (Arc::clone(&asked), Arc::clone(&closed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !shut.load(Ordering::Acquire) {
                    tokio::spawn(serve(stream, Arc::clone(&places)));
                }
            }
        });
        Self { port, asked, closed }
    }

    fn url(&self) -> Secret {
        Secret::from(format!("socks5://ann:s3cret@127.0.0.1:{}", self.port))
    }

    fn tunnels(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn serve(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.ok()?;
    let mut methods = vec![0; usize::from(head[1])];
    stream.read_exact(&mut methods).await.ok()?;
    assert!(methods.contains(&2), "user and password are offered");
    stream.write_all(&[5, 2]).await.ok()?;
    let mut version = [0; 1];
    stream.read_exact(&mut version).await.ok()?;
    let (user, password) = (short(&mut stream).await?, short(&mut stream).await?);
    assert_eq!((user.as_str(), password.as_str()), ("ann", "s3cret"));
    stream.write_all(&[1, 0]).await.ok()?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await.ok()?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => short(&mut stream).await?,
        kind => panic!("an address of kind {kind}"),
    };
    let place = format!("{host}:{}", stream.read_u16().await.ok()?);
    let mut there = TcpStream::connect(&place).await.ok()?;
    asked.lock().unwrap().push(place);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    let _ = copy_bidirectional(&mut stream, &mut there).await;
    Some(())
}

/// A text preceded by its length.
async fn short(stream: &mut TcpStream) -> Option<String> {
    let mut text = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut text).await.ok()?;
    String::from_utf8(text).ok()
}

async fn set(harbour: &Harbour, ship: &Ship, proxy: Option<Secret>) {
    let patch = DevicePatch { proxy: Some(proxy), ..DevicePatch::default() };
    let devices = harbour.platform.devices();
    devices.update(&grant(harbour.account), ship.device, patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_says_goes_through_its_proxy_and_nowhere_else() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let socks = Socks::open().await;
        set(&harbour, &ship, Some(socks.url())).await;
        harbour.whatsapp.end(ship.number(), None, Ending::Drop);
        harbour.until("it goes through the proxy", || async { socks.tunnels() == 1 }).await;
        let device = harbour.until_state(ship.device, DeviceState::Connected).await;
        let shown = format!("socks5://127.0.0.1:{}", socks.port);
        assert_eq!(device.proxy_shown(), Some(shown), "without user and password");

        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        let (picture, _) = Harbour::contents().remove(1);
        let sent = harbour.send(ship.device, customer.number(), picture).await;
        harbour.until_status(sent, Status::Read).await;
        assert!(socks.tunnels() > 1, "files go the same way: {:?}", socks.asked.lock().unwrap());
        customer.text(ship.number(), "bagus").unwrap();
        harbour.until_received(1).await;

        socks.closed.store(true, Ordering::Release);
        harbour.whatsapp.end(ship.number(), None, Ending::Drop);
        let said = || async {
            let devices = harbour.platform.devices();
            let device = devices.get(&grant(harbour.account), ship.device).await.unwrap();
            device.state == DeviceState::Reconnecting
                && device.state_reason.is_some_and(|reason| reason.contains("proxy"))
        };
        harbour.until("the device says that its proxy is down", said).await;
        assert!(harbour.whatsapp.connections().is_empty(), "it does not go past its proxy");

        set(&harbour, &ship, None).await;
        harbour.until_state(ship.device, DeviceState::Connected).await;
        customer.text(ship.number(), "halo lagi").unwrap();
        harbour.until_received(2).await;
        let late = harbour.text(ship.device, customer.number(), "ya").await;
        customer.wait_for_text("ya", PATIENCE).await.unwrap();
        harbour.until_status(late, Status::Read).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_must_not_be_used_is_refused_when_it_is_named() {
    each_harbour(|harbour| async move {
        let devices = harbour.platform.devices();
        for text in ["proxy.example", "ftp://proxy.example", "socks5://10.0.0.1", "http://[::1]:1"]
        {
            let new = NewPaired {
                name: "Toko".to_owned(),
                settings: Default::default(),
                accept_risk: true,
                proxy: Some(Secret::from(text)),
            };
            let refused = devices.add_paired(&grant(harbour.account), new, None).await;
            match refused {
                Err(DeviceError::Invalid(invalid)) => assert_eq!(invalid.field, "proxy"),
                other => panic!("{text}: {other:?}"),
            }
        }
    })
    .await;
}
