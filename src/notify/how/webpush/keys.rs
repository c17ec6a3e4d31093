//! Our keys, made when they are first needed and kept in the settings.

use super::vapid::Pair;
use crate::{
    error::{Error, Result},
    settings,
};

/// The pair that we sign with. Whoever asks first has it made; of two at the same time one wins, on the writer.
///
/// Fails as invalid when somebody put something into the settings that is no private key: a new one would make all
/// subscriptions worthless, so it is not replaced.
pub async fn pair(store: &settings::Store) -> Result<Pair> {
    if let Some(pair) = stored(&store.current())? {
        return Ok(pair);
    }
    let made = Pair::generate().map_err(|why| Error::internal(anyhow::anyhow!(why)))?;
    let settings = store.change(move |settings| {
        let keys = &mut settings.notify.web_push;
        if !keys.private_key.is_empty() {
            return false;
        }
        (keys.public_key, keys.private_key) = (made.public.clone(), made.private.clone());
        true
    });
    let pair = stored(&*settings.await?)?;
    pair.ok_or_else(|| Error::internal(anyhow::anyhow!("keys that were just made are not there")))
}

fn stored(settings: &settings::Settings) -> Result<Option<Pair>> {
    let keys = &settings.notify.web_push;
    match (keys.private_key.as_str(), keys.public_key.as_str()) {
        ("", _) => Ok(None),
        (private, "") => match Pair::of_private(private) {
            None => Err(Error::invalid("The private key of Web Push in the settings is none.")),
            pair => Ok(pair),
        },
        (private, public) => Ok(Some(Pair { public: public.to_owned(), private: private.to_owned() })),
    }
}

/// Whom a push service may write to about us (RFC 8292 §2.1): as set, else the sender of our mails, else the app.
pub fn subject(settings: &settings::Settings) -> String {
    let (set, meta) = (&settings.notify.web_push.subject, &settings.meta);
    match (set.as_str(), meta.sender_address.as_str()) {
        ("", "") if meta.app_url.starts_with("https://") => meta.app_url.clone(),
        ("", "") => String::new(),
        ("", address) => format!("mailto:{address}"),
        (set, _) => set.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        Db,
        testing::{TempDir, options},
    };

    #[actix_web::test]
    async fn whoever_comes_first_makes_the_keys_for_all() {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        let store = settings::Store::open(db.clone(), None).unwrap();
        let all = futures_util::future::join_all((0..8).map(|_| pair(&store))).await;
        let first = all[0].as_ref().unwrap().clone();
        assert!(all.into_iter().all(|found| found.unwrap() == first));
        assert!(Pair::of_private(&first.private) == Some(first.clone()));
        let forget = |settings: &mut settings::Settings| {
            settings.notify.web_push.public_key.clear();
            true
        };
        store.change(forget).await.unwrap();
        assert!(pair(&store).await.unwrap() == first, "the public key follows from the private one");
        db.close().await;
    }

    #[test]
    fn somebody_can_be_asked() {
        let mut settings = settings::Settings::default();
        assert_eq!(subject(&settings), "");
        settings.meta.app_url = "https://a.b".to_owned();
        assert_eq!(subject(&settings), "https://a.b");
        settings.meta.sender_address = "a@b.co".to_owned();
        assert_eq!(subject(&settings), "mailto:a@b.co");
        settings.notify.web_push.subject = "mailto:x@y.zz".to_owned();
        assert_eq!(subject(&settings), "mailto:x@y.zz");
    }
}
