//! S-CSCF restoration information (TS 23.380 4) as a text of the store.

use base::Instant;
use diameter::cx::{AuthScheme, RestorationInfo, ScscfRestorationInfo, SubscriptionInfo};
use serde::{Deserialize, Serialize};

/// The text of an SCSCF-Restoration-Info.
pub fn write(info: &ScscfRestorationInfo) -> String {
    let stored = StoredInfo {
        user_name: info.user_name.clone(),
        contacts: info.restoration_info.iter().map(contact).collect(),
        expires: info.registration_time_out.map(Instant::as_secs),
        scheme: info
            .scheme
            .as_ref()
            .map(|scheme| scheme.as_str().to_owned()),
    };
    serde_json::to_string(&stored).expect("texts and numbers only, under text keys")
}

/// The SCSCF-Restoration-Info of a text; none when this version cannot read it: the UE will
/// register again.
pub fn read(text: &str) -> Option<ScscfRestorationInfo> {
    let stored: StoredInfo = serde_json::from_str(text).ok()?;
    Some(ScscfRestorationInfo {
        user_name: stored.user_name,
        restoration_info: stored.contacts.into_iter().map(restoration).collect(),
        registration_time_out: stored.expires.map(Instant::from_secs),
        scheme: stored.scheme.as_deref().map(AuthScheme::from),
    })
}

#[derive(Serialize, Deserialize)]
struct StoredInfo {
    user_name: String,
    contacts: Vec<StoredContact>,
    /// Unix time.
    expires: Option<u64>,
    scheme: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredContact {
    path: String,
    contact: String,
    initial_cseq: Option<u32>,
    call_id: Option<String>,
    ue: Option<StoredSubscription>,
    pcscf: Option<StoredSubscription>,
}

#[derive(Serialize, Deserialize)]
struct StoredSubscription {
    call_id: String,
    from: String,
    to: String,
    record_route: Option<String>,
    contact: String,
}

fn contact(info: &RestorationInfo) -> StoredContact {
    StoredContact {
        path: info.path.clone(),
        contact: info.contact.clone(),
        initial_cseq: info.initial_cseq,
        call_id: info.call_id.clone(),
        ue: info.subscription_info.as_ref().map(subscription),
        pcscf: info.pcscf_subscription_info.as_ref().map(subscription),
    }
}

fn restoration(stored: StoredContact) -> RestorationInfo {
    RestorationInfo {
        path: stored.path,
        contact: stored.contact,
        initial_cseq: stored.initial_cseq,
        call_id: stored.call_id,
        subscription_info: stored.ue.map(subscription_info),
        pcscf_subscription_info: stored.pcscf.map(subscription_info),
    }
}

fn subscription(info: &SubscriptionInfo) -> StoredSubscription {
    StoredSubscription {
        call_id: info.call_id.clone(),
        from: info.from.clone(),
        to: info.to.clone(),
        record_route: info.record_route.clone(),
        contact: info.contact.clone(),
    }
}

fn subscription_info(stored: StoredSubscription) -> SubscriptionInfo {
    SubscriptionInfo {
        call_id: stored.call_id,
        from: stored.from,
        to: stored.to,
        record_route: stored.record_route,
        contact: stored.contact,
    }
}
