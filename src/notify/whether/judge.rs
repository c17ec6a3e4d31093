//! The judgement on one delivery at one moment. Pure: all that it knows is in the [`Facts`].

use super::{
    Reason, Verdict,
    facts::{Condition, Facts, Intended},
    profile::QuietMode,
};
use crate::{
    clock::Timestamp,
    notify::{
        Channel, Priority, State,
        intent::{Already, Intent, Quiet},
        plan, what,
        when::quiet,
        who::Recipient,
    },
};

/// Whether the delivery goes out at `now`. In this order: is it still wanted by its sender, is there anybody, do they
/// want it, is there a way to them; and at last, because it may be another answer tomorrow, is this the time.
///
/// Critical ones pass quiet hours and caps, and the opt-outs if they are of no category; nothing passes the suppression
/// list. An inbox makes no noise: quiet hours do not concern it.
pub fn judge(facts: &Facts, now: Timestamp) -> Verdict {
    match purpose(facts, now).and_then(|intent| {
        recipient(facts, intent)?;
        way(facts)?;
        moment(facts, intent, now)
    }) {
        Ok(()) => Verdict::Send,
        Err(verdict) => verdict,
    }
}

/// The same for a part of a digest, which goes where its first goes: only whether its sender still wants it.
pub fn judge_item(facts: &Facts, now: Timestamp) -> Verdict {
    purpose(facts, now).map_or_else(|verdict| verdict, |_| Verdict::Send)
}

/// When it is of no use any more.
pub fn expires(facts: &Facts, intent: &Intent) -> Option<Timestamp> {
    let step = intent.channels.get(facts.delivery.step).map(|step| step.after).unwrap_or_default();
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    plan::expires(intent, Timestamp(facts.delivery.first_due().millis().saturating_sub(step)))
}

fn dropped<T>(state: State, code: &'static str, words: impl Into<String>) -> Result<T, Verdict> {
    Err(Verdict::Drop { state, reason: Reason::new(code, words) })
}

/// Whether its sender still wants it.
fn purpose(facts: &Facts, now: Timestamp) -> Result<&Intent, Verdict> {
    let intent = match &facts.intent {
        Intended::There(intent) => intent,
        Intended::Gone => return dropped(State::Cancelled, "cancelled", "The notification was deleted."),
        Intended::Cancelled => return dropped(State::Cancelled, "cancelled", "The notification was cancelled."),
        Intended::Unreadable(why) => return dropped(State::Failed, "unreadable", why.clone()),
    };
    if expires(facts, intent).is_some_and(|end| end <= now) {
        return dropped(State::Expired, "expired", "It would come too late.");
    }
    match &facts.condition {
        Condition::None | Condition::HoldsNot => {}
        Condition::Holds => return dropped(State::Cancelled, "condition", "Its cancel condition holds."),
        Condition::RecordGone => {
            return dropped(State::Cancelled, "condition", "The record of its cancel condition is gone.");
        }
        Condition::Unjudged(why) => return dropped(State::Failed, "condition", why.clone()),
    }
    if facts.superseded {
        return dropped(State::Cancelled, "collapsed", "A newer one took its place.");
    }
    Ok(intent)
}

/// Whether they are there and want it.
fn recipient(facts: &Facts, intent: &Intent) -> Result<(), Verdict> {
    let delivery = &facts.delivery;
    if matches!(delivery.recipient, Recipient::Account { .. }) && facts.account.is_none() {
        return dropped(State::Cancelled, "user_gone", "The account is gone.");
    }
    match intent.channels.get(delivery.step).and_then(|step| step.unless) {
        Some(Already::Seen) if facts.siblings.seen => {
            return dropped(State::Skipped, "seen", "It was seen through another channel.");
        }
        Some(Already::Sent) if facts.siblings.sent => {
            return dropped(State::Skipped, "sent", "It was sent through another channel.");
        }
        _ => {}
    }
    let must_know = delivery.priority == Priority::Critical && delivery.category.is_empty();
    if !must_know && !facts.profile.wants(&delivery.category, delivery.channel) {
        let of = if delivery.category.is_empty() { "notifications" } else { &delivery.category };
        let words = format!("They do not want {of} through {}.", delivery.channel.as_str());
        return dropped(State::Suppressed, "opted_out", words);
    }
    if let Some(why) = &facts.suppressed {
        return dropped(State::Suppressed, "suppressed", format!("The address is on the suppression list: {why}."));
    }
    Ok(())
}

/// Whether there is a way to them, and something to say.
fn way(facts: &Facts) -> Result<(), Verdict> {
    let delivery = &facts.delivery;
    match delivery.channel {
        Channel::Email if facts.address().is_none() => {
            return dropped(State::Skipped, "no_address", "The account has no e-mail address.");
        }
        Channel::Push | Channel::Webhook if facts.devices.is_empty() => {
            let what = if delivery.channel == Channel::Push { "device" } else { "webhook" };
            return dropped(State::Skipped, "no_device", format!("They have registered no {what}."));
        }
        Channel::Inbox if facts.account.is_none() => {
            return dropped(State::Skipped, "no_account", "A bare address has no inbox.");
        }
        _ => {}
    }
    match (&facts.template, &facts.intent) {
        (None, Intended::There(intent)) => {
            let reason = what::missing(&intent.template);
            Err(Verdict::Drop { state: State::Failed, reason })
        }
        _ => Ok(()),
    }
}

/// `HH:MM`
fn clock(time: jiff::civil::Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// Whether this is the time.
fn moment(facts: &Facts, intent: &Intent, now: Timestamp) -> Result<(), Verdict> {
    let delivery = &facts.delivery;
    if delivery.priority == Priority::Critical {
        return Ok(());
    }
    if delivery.channel != Channel::Inbox
        && intent.quiet != Some(Quiet::Ignore)
        && let Some(hours) = facts.profile.quiet
        && let Some(until) = quiet::hold(now, &facts.zone, &clock(hours.from), &clock(hours.to))
    {
        let skips = match intent.quiet {
            Some(Quiet::Skip) => true,
            Some(_) => false,
            None => hours.mode == QuietMode::Skip,
        };
        if skips {
            return dropped(State::Suppressed, "quiet_hours", "They have quiet hours.");
        }
        if expires(facts, intent).is_some_and(|end| end <= until) {
            return dropped(State::Expired, "expired", "It would come too late after their quiet hours.");
        }
        let reason = Reason::new("quiet_hours", "They have quiet hours.");
        return Err(Verdict::Wait { until, reason });
    }
    match intent.cap {
        Some(cap) if facts.passed >= cap.count => {
            let words =
                format!("They got {} of these within {} hours.", facts.passed, cap.window.as_secs().div_ceil(3600));
            dropped(State::Suppressed, "cap_reached", words)
        }
        _ => Ok(()),
    }
}
