//! Paired devices: sessions minted by the sandbox, run by a platform, with phones at the other end.

mod harbour;
mod proxy;

use chrono::TimeDelta;
use kabar::channel::{Content, IncomingContent};
use kabar::core::PhoneNumber;
use kabar::devices::{DeviceError, DeviceState, HealthWord, NewPaired};
use kabar::messaging::Status;
use kabar::messaging::message::Body;
use kabar_sandbox::multi_device::{
    Content as Said, DeviceFault, DeviceFaultEffect, DeviceFaultPoint, Ending, PhoneHabits,
    PhoneMessage,
};
use kabar_testkit::accounts::grant;

use self::harbour::{Harbour, PATIENCE, each_harbour};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_brought_in_and_both_roads_work() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        let sent = harbour.text(ship.device, customer.number(), "pesanan siap").await;
        let arrived = customer.wait_for_text("pesanan siap", PATIENCE).await.unwrap();
        let message = harbour.until_status(sent, Status::Read).await;
        assert_eq!(message.wire_id.as_deref(), Some(arrived.id.as_str()), "the id is ours");

        customer.text(ship.number(), "terima kasih").unwrap();
        let received = harbour.until_received(1).await;
        assert_eq!(received[0].body.words(), Some("terima kasih"));
        assert_eq!(received[0].device, ship.device);
        let acknowledged = harbour.whatsapp.wait_for_companion(
            ship.number(),
            1,
            "to have acknowledged it",
            PATIENCE,
            |companion| companion.waiting == 0,
        );
        acknowledged.await.unwrap();
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_risk_must_be_accepted() {
    each_harbour(|harbour| async move {
        let new = NewPaired {
            name: "Toko".to_owned(),
            settings: Default::default(),
            accept_risk: false,
            proxy: None,
        };
        let devices = harbour.platform.devices();
        let refused = devices.add_paired(&grant(harbour.account), new, None).await;
        match refused {
            Err(DeviceError::Invalid(invalid)) => assert_eq!(invalid.field, "accept_risk"),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_while_the_device_is_disconnected() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let devices = harbour.platform.devices();
        devices.disconnect_paired(&grant(harbour.account), ship.device).await.unwrap();
        harbour
            .until("it is offline", || async { harbour.whatsapp.connections().is_empty() })
            .await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        let sent = harbour.text(ship.device, customer.number(), "nanti").await;
        customer.text(ship.number(), "sementara itu").unwrap();
        devices.connect(&grant(harbour.account), ship.device).await.unwrap();
        customer.wait_for_text("nanti", PATIENCE).await.unwrap();
        harbour.until_status(sent, Status::Read).await;
        harbour.until_received(1).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ending_has_its_state() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        harbour.whatsapp.end(ship.number(), None, Ending::Drop);
        harbour.until_state(ship.device, DeviceState::Reconnecting).await;
        harbour.until_state(ship.device, DeviceState::Connected).await;

        harbour.whatsapp.end(ship.number(), None, Ending::Replaced);
        let replaced = harbour.until_state(ship.device, DeviceState::Disconnected).await;
        assert!(replaced.state_reason.unwrap().contains("somewhere else"));

        let other = harbour.ship("6281200000003").await;
        other.phone.log_out(1).unwrap();
        let out = harbour.until_state(other.device, DeviceState::LoggedOut).await;
        assert!(out.state_reason.unwrap().contains("pair it again"));
        running.stop().await;
    })
    .await;
}

/// The engine dials again at once then, and says nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_restart_again_and_again_is_not_connected() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let restart = DeviceFaultEffect::StreamError { code: 515 };
        let always = DeviceFault::on(DeviceFaultPoint::Login, restart).times(0);
        harbour.whatsapp.add_fault(always).unwrap();
        harbour.whatsapp.end(ship.number(), None, Ending::StreamError { code: 515 });
        harbour.until_state(ship.device, DeviceState::Reconnecting).await;
        harbour.whatsapp.clear_faults();
        harbour.until_state(ship.device, DeviceState::Connected).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_new_contact_waits_for_the_end_that_whatsapp_states() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let known = harbour.whatsapp.phone("6281200000002").unwrap();
        let stranger = harbour.whatsapp.phone("6281200000003").unwrap();
        known.text(ship.number(), "halo").unwrap();
        harbour.until_received(1).await;
        harbour.refuse(&ship, 463, Some(20));
        let refused = harbour.text(ship.device, stranger.number(), "baru").await;
        let held = harbour.until_held(refused, "new_contacts_paused").await;
        assert!(held.reason.unwrap().text.contains("(463)"));
        let meeting = harbour.health(ship.device).await.new_contacts.unwrap();
        let blocked = meeting.blocked.expect("it is blocked");
        assert_eq!((Some(blocked.until), blocked.assumed), (held.held_until, false));
        // The same for one that was never tried.
        let other = harbour.text(ship.device, "6281200000009", "juga baru").await;
        let other = harbour.until_held(other, "new_contacts_paused").await;
        assert_eq!(other.attempts, 0);
        let reply = harbour.text(ship.device, known.number(), "siap").await;
        harbour.until_status(reply, Status::Read).await;
        assert!(stranger.messages().is_empty(), "still nothing");
        // The time comes.
        stranger.wait_for_text("baru", PATIENCE).await.unwrap();
        let sent = harbour.until_status(refused, Status::Read).await;
        assert!(sent.sent_at.unwrap() >= blocked.until);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_new_chats_is_taken_to_last_a_day() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let stranger = harbour.whatsapp.phone("6281200000003").unwrap();
        harbour.refuse(&ship, 475, None);
        let before = Harbour::now();
        let refused = harbour.text(ship.device, stranger.number(), "baru").await;
        let held = harbour.until_held(refused, "new_contacts_paused").await;
        let until = held.held_until.unwrap();
        assert!(
            until >= before + TimeDelta::hours(24)
                && until <= Harbour::now() + TimeDelta::hours(24)
        );
        assert!(held.reason.unwrap().text.contains("an assumption"));
        // Who writes first is answered, and gets what waited.
        stranger.text(ship.number(), "halo").unwrap();
        stranger.wait_for_text("baru", PATIENCE).await.unwrap();
        harbour.until_status(refused, Status::Read).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_shows_in_the_health() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        assert_eq!(harbour.health(ship.device).await.health.word, HealthWord::Good);
        let effect =
            DeviceFaultEffect::Failure { reason: 402, code: Some(101), expire: Some(3_600) };
        let fault = DeviceFault::on(DeviceFaultPoint::Login, effect).account(ship.number());
        harbour.whatsapp.add_fault(fault).unwrap();
        harbour.whatsapp.end(ship.number(), None, Ending::Drop);
        harbour.until_state(ship.device, DeviceState::Banned).await;
        let found = harbour.health(ship.device).await.health;
        assert_eq!((found.word, found.findings[0].code), (HealthWord::Poor, "banned"));
        assert!(found.findings[0].advice.contains("write to nobody"));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_taken_over() {
    each_harbour(|harbour| async move {
        if !harbour.database.is_postgres() {
            return;
        }
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let other = harbour.another().await;
        let others = other.start();
        // Dropped, as a crash does: nothing is written down, nothing given back.
        drop(running);
        let began = std::time::Instant::now();
        harbour
            .until("the other node runs it", || async { other.sessions().unwrap().counts().1 == 1 })
            .await;
        println!("taken over after {:?}", began.elapsed());
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        harbour.text(ship.device, customer.number(), "lanjut").await;
        customer.wait_for_text("lanjut", PATIENCE).await.unwrap();
        others.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contents_of_every_kind_arrives() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        for (content, what) in Harbour::contents() {
            let sent = harbour.send(ship.device, customer.number(), content).await;
            let message = harbour.until_status(sent, Status::Read).await;
            let id = message.wire_id.unwrap();
            let arrived = customer.wait_for(what, PATIENCE, |it| it.id == id).await.unwrap();
            assert_eq!(arrived.arrivals, 1, "{what}");
        }
        assert!(customer.failures().is_empty());
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_are_read() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        let poll = Harbour::contents().pop().unwrap().0;
        let sent = harbour.send(ship.device, customer.number(), poll).await;
        let poll = harbour.until_status(sent, Status::Read).await.wire_id.unwrap();
        let options = vec!["Rawon".to_owned()];
        let vote = Said::PollVote { poll: poll.clone(), options: options.clone() };
        customer.send(ship.number(), vote).unwrap();
        let received = harbour.until_received(1).await;
        let Body::In(IncomingContent::PollVote { target, options: ticked }) = &received[0].body
        else {
            panic!("{:?}", received[0].body);
        };
        assert_eq!((&target.id, ticked), (&poll, &options));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_groups_come_in() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        let picture = Said::Image {
            data: b"\xff\xd8\xff\xe0 halo".to_vec(),
            mime_type: "image/jpeg".to_owned(),
            caption: Some("lihat".to_owned()),
        };
        customer.send(ship.number(), picture).unwrap();
        let received = harbour.until_received(1).await;
        assert_eq!(received[0].body.words(), Some("lihat"));
        let has_file = || async { harbour.received().await[0].media.is_some() };
        harbour.until("the file was fetched", has_file).await;
        let file = harbour.received().await[0].media.unwrap();
        assert_eq!(&harbour.file(file).await[..], b"\xff\xd8\xff\xe0 halo");

        let group = customer.create_group("Pelanggan", &[ship.number()]).unwrap();
        customer.text(&group, "halo semua").unwrap();
        let received = harbour.until_received(2).await;
        assert_eq!(received[1].body.words(), Some("halo semua"));
        assert_ne!(received[1].conversation, received[0].conversation, "the group is a chat");
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_phone_could_read_comes_from_it() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        // Sends nothing again, whoever asks.
        customer.set_habits(PhoneHabits { retries: false, ..PhoneHabits::default() }).unwrap();
        let damage = DeviceFault::on(DeviceFaultPoint::Deliver, DeviceFaultEffect::Corrupt);
        harbour.whatsapp.add_fault(damage.account(ship.number())).unwrap();
        customer.text(ship.number(), "pesan soto").unwrap();
        let received = harbour.until_received(1).await;
        assert_eq!(received[0].body.words(), Some("pesan soto"));
        assert!(harbour.whatsapp.faults().is_empty(), "it was damaged");
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_members_are_told_apart() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let customer = harbour.whatsapp.phone("6281200000002").unwrap();
        customer.set_name("Budi").unwrap();
        let group = customer.create_group("Pelanggan", &[ship.number()]).unwrap();
        let asked = customer.text(&group, "ada soto?").unwrap();
        let received = harbour.until_received(1).await.remove(0);
        let author = received.author.expect("a member wrote it");
        assert_eq!(author.ids.phone.as_ref().map(PhoneNumber::digits), Some(customer.number()));
        assert_eq!(author.name.as_deref(), Some("Budi"));

        let reaction = Content::Reaction { emoji: "👍".to_owned() };
        for content in [Content::text("ada"), reaction] {
            harbour.answer(ship.device, &group, received.id, content).await;
        }
        let lid = format!("{}@lid", customer.lid().unwrap());
        let answer = customer.wait_for_text("ada", PATIENCE).await.unwrap().message;
        let context = &answer.extended_text_message.context_info;
        assert_eq!(context.stanza_id.as_deref(), Some(asked.as_str()));
        assert_eq!(context.participant.as_deref(), Some(lid.as_str()));
        let liked = |it: &PhoneMessage| it.message.reaction_message.is_set();
        let like = customer.wait_for("a reaction", PATIENCE, liked).await.unwrap().message;
        let key = &like.reaction_message.key;
        assert_eq!(key.id.as_deref(), Some(asked.as_str()));
        assert_eq!(key.participant.as_deref(), Some(lid.as_str()));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_take_the_id_of_anothers_message() {
    each_harbour(|harbour| async move {
        let running = harbour.platform.start();
        let ship = harbour.ship("6281200000001").await;
        let say = |number: &str, words: &str| {
            let phone = harbour.whatsapp.phone(number).unwrap();
            let content = Said::Text { body: words.to_owned() };
            phone.send_as(ship.number(), content, Some("3EB0SAME".to_owned())).unwrap();
        };
        say("6281200000002", "satu");
        say("6281200000003", "dua");
        let received = harbour.until_received(2).await;
        let mut words: Vec<_> = received.iter().filter_map(|it| it.body.words()).collect();
        words.sort_unstable();
        assert_eq!(words, ["dua", "satu"]);
        running.stop().await;
    })
    .await;
}
