//! The token: how it is got, kept alive, and got again.
//!
//! A token that a login method gave is renewed when two thirds of its life are over, by a task of its
//! own, so that it lives on between two readings. If it cannot be renewed, the next request logs in
//! again. A token that the user gave is looked up and renewed in the same way, and when it ends, that is
//! an error.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nodes::{Cause, CauseKind, Error};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::reply::Reply;
use crate::{Client, Login, NAME, Request};

/// How long a given token is used before it is looked up: most onetime runs have ended by then.
const BEFORE_LOOKUP: Duration = Duration::from_millis(500);

/// The shortest pause before a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What Vault says of a token that has ended or never was.
pub(crate) const INVALID: &str = "invalid token";

/// The token of a client.
#[derive(Default)]
pub(crate) struct Session {
    held: Mutex<Option<Token>>,
    /// Locked by the one task that logs in or renews.
    entry: tokio::sync::Mutex<()>,
    /// The task that renews the token. It ends with the client.
    keeper: Mutex<JoinSet<()>>,
}

/// A token, and what is known of it.
#[derive(Clone)]
pub(crate) struct Token {
    header: HeaderValue,
    /// How many tokens came before.
    number: u64,
    life: Life,
    /// Whether a refusal is about the path, because the token itself is known to be good.
    is_good: bool,
}

/// How long a token lives.
#[derive(Clone, Copy)]
enum Life {
    /// It is not known yet.
    Unknown,
    /// Without end, or nothing can be done about it.
    Endless,
    /// It has a limit.
    Limited { began: Instant, lasts: Duration, renewable: bool },
}

impl Life {
    fn of(seconds: u64, renewable: bool) -> Self {
        let lasts = Duration::from_secs(seconds);
        match seconds {
            0 => Life::Endless,
            _ => Life::Limited { began: Instant::now(), lasts, renewable },
        }
    }

    /// When two thirds of it are over.
    fn renewal(&self) -> Option<Instant> {
        match self {
            Life::Limited { began, lasts, .. } => Some(*began + *lasts * 2 / 3),
            Life::Unknown | Life::Endless => None,
        }
    }

    fn is_due(&self) -> bool {
        self.renewal().is_some_and(|moment| moment <= Instant::now())
    }

    fn is_over(&self) -> bool {
        let Life::Limited { began, lasts, .. } = self else { return false };
        began.elapsed() >= *lasts
    }
}

impl Token {
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl Session {
    fn held(&self) -> MutexGuard<'_, Option<Token>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Token> {
        self.held().clone()
    }
}

#[derive(Deserialize)]
struct LookedUp {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Client {
    /// The token for a request; `None` if requests carry none.
    pub(crate) async fn token(&self) -> Result<Option<Token>, Error> {
        if let Login::Nothing = self.options.login {
            return Ok(None);
        }
        if let Login::Token(secret) = &self.options.login {
            let text = secret.read()?;
            return self.given(&text).map(Some);
        }
        if let Some(token) = self.session.current()
            && !token.life.is_due()
        {
            return Ok(Some(token));
        }
        let _entry = self.session.entry.lock().await;
        match self.session.current() {
            Some(token) if !token.life.is_due() => Ok(Some(token)),
            Some(token) => match self.renew_token(&token).await {
                Ok(Some(token)) => Ok(Some(token)),
                Ok(None) => self.log_in(false).await.map(Some),
                // It is still good.
                Err(_) if !token.life.is_over() => Ok(Some(token)),
                Err(_) => self.log_in(false).await.map(Some),
            },
            None => self.log_in(false).await.map(Some),
        }
    }

    /// The token that the user gave.
    fn given(&self, text: &str) -> Result<Token, Error> {
        let header = header(text)?;
        let mut held = self.session.held();
        if let Some(token) = &*held
            && token.header == header
        {
            return Ok(token.clone());
        }
        let number = held.as_ref().map_or(0, |token| token.number + 1);
        let token = Token { header, number, life: Life::Unknown, is_good: false };
        *held = Some(token.clone());
        drop(held);
        self.keep();
        Ok(token)
    }

    /// A token for the same request after `refused` was refused with this text; `None` if another token
    /// would not help.
    pub(crate) async fn token_after_refusal(
        &self,
        refused: &Token,
        text: &str,
    ) -> Result<Option<Token>, Error> {
        let Login::Method { .. } = self.options.login else { return Ok(None) };
        let _entry = self.session.entry.lock().await;
        let current = self.session.current();
        if let Some(token) = current.filter(|token| token.number != refused.number) {
            return Ok(Some(token));
        }
        if !text.contains(INVALID) && (refused.is_good || self.is_good(refused).await?) {
            if let Some(token) = &mut *self.session.held() {
                token.is_good = true;
            }
            return Ok(None);
        }
        debug!("vault: the token is not accepted any more, so it is logged in again");
        self.log_in(true).await.map(Some)
    }

    /// Whether Vault knows the token.
    async fn is_good(&self, token: &Token) -> Result<bool, Error> {
        let request = Request::get("auth/token/lookup-self");
        Ok(self.exchange(&request, Some(&token.header)).await?.status.is_success())
    }

    /// Logs in. A token that was got because of a refusal counts as good: if it is refused too, it is
    /// the path that is refused.
    async fn log_in(&self, after_refusal: bool) -> Result<Token, Error> {
        let Login::Method { path, fields } = &self.options.login else {
            return Err(Error::Token);
        };
        let mut body = Map::new();
        for (name, secret) in fields {
            body.insert((*name).to_owned(), Value::String(secret.read()?));
        }
        let request = Request::put(path, Value::Object(body).to_string().into_bytes());
        let answer = self.exchange(&request, None).await?;
        let auth = match answer.reply::<Reply>()? {
            Some(Reply { auth: Some(auth), .. }) if !auth.client_token.is_empty() => auth,
            _ if answer.status.is_success() => {
                let reason = Cause::new(format!("PUT /v1/{path}: the answer has no token"));
                let reason = reason.of_kind(CauseKind::Credentials);
                return Err(Error::Refused { store: NAME, node: answer.node, reason });
            }
            _ => return Err(Self::refused(&request, &answer)),
        };
        debug!("vault: logged in by {path}");
        let mut held = self.session.held();
        let token = Token {
            header: header(&auth.client_token)?,
            number: held.as_ref().map_or(0, |token| token.number + 1),
            life: Life::of(auth.lease_duration, auth.renewable),
            is_good: after_refusal,
        };
        *held = Some(token.clone());
        drop(held);
        self.keep();
        Ok(token)
    }

    /// Renews a token. Returns `None` if it cannot be renewed.
    async fn renew_token(&self, token: &Token) -> Result<Option<Token>, Error> {
        let Life::Limited { lasts, renewable: true, .. } = token.life else { return Ok(None) };
        if !self.options.renew {
            return Ok(None);
        }
        let request = Request::put("auth/token/renew-self", b"{}".to_vec());
        let answer = self.exchange(&request, Some(&token.header)).await?;
        let Some(Reply { auth: Some(auth), .. }) = answer.reply()? else { return Ok(None) };
        let life = match Life::of(auth.lease_duration, auth.renewable) {
            // Its end cannot be moved any more.
            Life::Limited { began, lasts: new, .. } if new < lasts * 2 / 3 => {
                Life::Limited { began, lasts: new, renewable: false }
            }
            life => life,
        };
        debug!("vault: the token was renewed for {} s", auth.lease_duration);
        let token = Token { life, ..token.clone() };
        if let Some(held) = &mut *self.session.held()
            && held.number == token.number
        {
            held.life = life;
        }
        Ok(Some(token))
    }

    /// Starts the task that renews the token, unless it runs.
    fn keep(&self) {
        if !self.options.renew {
            return;
        }
        let me = self.me.clone();
        let mut keeper = self.session.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        while keeper.try_join_next().is_some() {}
        if !keeper.is_empty() {
            return;
        }
        let mut next = Instant::now() + BEFORE_LOOKUP;
        keeper.spawn(async move {
            loop {
                sleep_until(next).await;
                let Some(client) = me.upgrade() else { return };
                let Some(moment) = client.keep_alive().await else { return };
                next = moment;
            }
        });
    }

    /// Renews the token if that is due. Returns when this must be done again; `None` if the token needs
    /// nothing any more.
    async fn keep_alive(&self) -> Option<Instant> {
        let _entry = self.session.entry.lock().await;
        let token = self.session.current()?;
        let life = match token.life {
            Life::Unknown => self.looked_up(&token).await,
            life => Ok(life),
        };
        let life = match life {
            Ok(life) if life.is_due() => match self.renew_token(&token).await {
                Ok(Some(token)) => Ok(token.life),
                Ok(None) => {
                    if let Login::Token(_) = self.options.login {
                        warn!("vault: the token cannot be renewed, and ends soon");
                    }
                    return None;
                }
                Err(error) => Err(error),
            },
            other => other,
        };
        match life {
            Ok(life) => life.renewal(),
            Err(error) => {
                debug!("vault: the token could not be renewed: {error}");
                Some(Instant::now() + RETRY)
            }
        }
    }

    /// How long a given token lives.
    async fn looked_up(&self, token: &Token) -> Result<Life, Error> {
        let request = Request::get("auth/token/lookup-self");
        let answer = self.exchange(&request, Some(&token.header)).await?;
        let life = match answer.status {
            StatusCode::OK => {
                let reply: Option<Reply> = answer.reply()?;
                let data = reply.as_ref().and_then(Reply::data).unwrap_or_default();
                let found: Option<LookedUp> = serde_json::from_str(data).ok();
                match found {
                    Some(LookedUp { ttl, renewable: true }) => Life::of(ttl, true),
                    _ => Life::Endless,
                }
            }
            // It may not ask about itself, or is not good, which the next request shows.
            _ => Life::Endless,
        };
        if let Some(held) = &mut *self.session.held()
            && held.number == token.number
        {
            held.life = life;
        }
        Ok(life)
    }
}

/// The token as a header that reqwest keeps out of its debug output.
fn header(text: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(text).map_err(|_| Error::Token)?;
    header.set_sensitive(true);
    Ok(header)
}
