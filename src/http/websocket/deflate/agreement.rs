//! What the two sides agree on (RFC 7692, 7.1).

use super::extensions::{Extension, Param, parse};

const NAME: &[u8] = b"permessage-deflate";

/// What a client offers: no side keeps its window from one message to the next, and the server may bound that of the client.
pub(crate) const OFFER: &str =
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits";

/// Messages may come compressed, without a context. Any window can be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// The window of what is sent, in bits. None: there is no compressor for one so small, so that messages leave plain, as each may.
    pub(crate) window: Option<u8>,
}

/// The window that deflate has unless something else is said.
const LARGEST: u8 = 15;
/// zlib has no compressor for the smallest window that RFC 7692 knows, 8 bits.
const SMALLEST: u8 = 9;

/// What a server makes of the offers of a client: the first that it can meet, and the answer. Offers with anything unknown are passed
/// over, and of a malformed header nothing is taken: who gets no answer goes on without.
pub(crate) fn accept<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Option<(Agreement, String)> {
    let offers = parse(headers)?;
    let window = offers.iter().find_map(acceptable)?;
    let mut answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_string();
    if let Some(bits) = window {
        answer += &format!("; server_max_window_bits={bits}");
    }
    Some((Agreement { window: window.or(Some(LARGEST)) }, answer))
}

/// The window that an offer asks for, if it asks for one.
fn acceptable(offer: &Extension<'_>) -> Option<Option<u8>> {
    let params = Params::read(offer)?;
    match params.server_window {
        None => Some(None),
        Some(Some(bits)) if bits >= SMALLEST => Some(Some(bits)),
        Some(_) => None,
    }
}

/// What a client makes of the answer of a server. The text says what is wrong with it.
pub(crate) fn check_answer<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    was_offered: bool,
) -> Result<Option<Agreement>, &'static str> {
    let answers = parse(headers).ok_or("the server's choice of extensions is malformed")?;
    let answer = match &answers[..] {
        [] => return Ok(None),
        [answer] if was_offered && answer.name == NAME => answer,
        _ => return Err("the server uses an extension that was not asked for"),
    };
    let params = Params::read(answer).ok_or("the server has chosen malformed parameters of compression")?;
    if !params.server_no_context {
        // Without it the offer was not accepted (7.1.1.1), and there would have to be a window between messages.
        return Err("the server would keep the context of its compression, and was asked not to");
    }
    // In an answer both must have a value.
    if params.server_window == Some(None) || params.client_window == Some(None) {
        return Err("the server has chosen malformed parameters of compression");
    }
    let window = params.client_window.flatten().unwrap_or(LARGEST);
    Ok(Some(Agreement { window: (window >= SMALLEST).then_some(window) }))
}

#[derive(Default)]
struct Params {
    server_no_context: bool,
    client_no_context: bool,
    /// As it stands there, if it does.
    server_window: Option<Option<u8>>,
    client_window: Option<Option<u8>>,
}

impl Params {
    /// None if it is another extension, or has parameters that are unknown, repeated or malformed (7: such an offer is declined).
    fn read(extension: &Extension<'_>) -> Option<Params> {
        if extension.name != NAME {
            return None;
        }
        let mut params = Params::default();
        for param in &extension.params {
            let is_repeated = match param.name {
                b"server_no_context_takeover" => flag(&mut params.server_no_context, param)?,
                b"client_no_context_takeover" => flag(&mut params.client_no_context, param)?,
                b"server_max_window_bits" => params.server_window.replace(window(param)?).is_some(),
                b"client_max_window_bits" => params.client_window.replace(window(param)?).is_some(),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        Some(params)
    }
}

/// Was it set before? None if it has a value.
fn flag(flag: &mut bool, param: &Param<'_>) -> Option<bool> {
    param.value.is_none().then(|| std::mem::replace(flag, true))
}

/// 8 to 15, without leading zeros, or no value.
fn window(param: &Param<'_>) -> Option<Option<u8>> {
    let Some(value) = &param.value else { return Some(None) };
    (8..=LARGEST).find(|bits| bits.to_string().as_bytes() == value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(offers: &[&str]) -> Option<(Option<u8>, String)> {
        let (agreement, answer) = accept(offers.iter().map(|offer| offer.as_bytes()))?;
        Some((agreement.window, answer))
    }

    #[test]
    fn the_first_acceptable_offer_is_accepted() {
        let bits = |bits| format!("{BOTH}; server_max_window_bits={bits}");
        let cases: Vec<(&[&str], u8, String)> = vec![
            (&["permessage-deflate"], 15, BOTH.into()),
            // Chromium and Python's websockets; what we send ourselves.
            (&["permessage-deflate; client_max_window_bits"], 15, BOTH.into()),
            (&[OFFER], 15, BOTH.into()),
            (&["permessage-deflate; client_max_window_bits=8"], 15, BOTH.into()),
            (
                &["permessage-deflate;server_no_context_takeover ; client_no_context_takeover"],
                15,
                BOTH.into(),
            ),
            (&["permessage-deflate; server_max_window_bits=9"], 9, bits(9)),
            (&["permessage-deflate; server_max_window_bits=\"12\""], 12, bits(12)),
            (&["permessage-deflate; server_max_window_bits=15"], 15, bits(15)),
            // 7.1.3: one offer behind the other, the first being the wish.
            (
                &[
                    "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
                ],
                10,
                bits(10),
            ),
            (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], 15, BOTH.into()),
            (&["permessage-deflate; x", "permessage-deflate; server_max_window_bits=11"], 11, bits(11)),
            (&["x-webkit-deflate-frame, permessage-deflate"], 15, BOTH.into()),
            (&["permessage-bzip2; level=9", ", permessage-deflate"], 15, BOTH.into()),
        ];
        for (offers, window, expected) in cases {
            assert_eq!(answer(offers), Some((Some(window), expected)), "{offers:?}");
        }
    }

    #[test]
    fn what_cannot_be_met_or_understood_is_passed_over() {
        let cases: Vec<&[&str]> = vec![
            &[],
            &[""],
            &["permessage-bzip2"],
            &["Permessage-Deflate"],
            &["permessage-deflate-frame"],
            &["permessage-deflate; unknown"],
            &["permessage-deflate; unknown=1"],
            &["permessage-deflate; server_no_context_takeover; server_no_context_takeover"],
            &["permessage-deflate; client_no_context_takeover; client_no_context_takeover"],
            &["permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"],
            &["permessage-deflate; client_max_window_bits; client_max_window_bits=10"],
            &["permessage-deflate; server_no_context_takeover=1"],
            &["permessage-deflate; client_no_context_takeover=true"],
            &["permessage-deflate; server_max_window_bits"],
            &["permessage-deflate; server_max_window_bits=8"],
            &["permessage-deflate; server_max_window_bits=7"],
            &["permessage-deflate; server_max_window_bits=16"],
            &["permessage-deflate; server_max_window_bits=010"],
            &["permessage-deflate; server_max_window_bits=+10"],
            &["permessage-deflate; server_max_window_bits=1e1"],
            &["permessage-deflate; server_max_window_bits=99999999999999999999"],
            &["permessage-deflate; client_max_window_bits=7"],
            &["permessage-deflate; client_max_window_bits=0"],
            // Malformed: nothing of it is taken.
            &["permessage-deflate;"],
            &["permessage-deflate, ;"],
            &["permessage-deflate", "=1"],
            &["permessage-deflate; server_max_window_bits="],
            &["permessage-deflate; server_max_window_bits=\"10"],
        ];
        for offers in cases {
            assert_eq!(answer(offers), None, "{offers:?}");
        }
    }

    fn judged(answers: &[&str]) -> Result<Option<Option<u8>>, &'static str> {
        let agreement = check_answer(answers.iter().map(|answer| answer.as_bytes()), true)?;
        Ok(agreement.map(|agreement| agreement.window))
    }

    #[test]
    fn a_client_takes_an_answer_to_what_it_has_offered() {
        assert_eq!(judged(&[]), Ok(None));
        let with = |more: &str| format!("permessage-deflate; server_no_context_takeover{more}");
        for (more, window) in [
            ("", Some(15)),
            ("; client_no_context_takeover", Some(15)),
            // 7.1.2.1: a server may say so unasked.
            ("; server_max_window_bits=8", Some(15)),
            ("; client_max_window_bits=15", Some(15)),
            ("; client_max_window_bits=\"9\"", Some(9)),
            ("; client_max_window_bits=8", None),
        ] {
            assert_eq!(judged(&[&with(more)]), Ok(Some(window)), "{more}");
        }
    }

    #[test]
    fn a_client_refuses_what_was_not_offered_or_is_malformed() {
        let with = |more: &str| format!("permessage-deflate; server_no_context_takeover{more}");
        for (answer, expected) in [
            ("permessage-deflate".to_string(), "would keep the context"),
            ("permessage-deflate; client_no_context_takeover".to_string(), "would keep the context"),
            (with("; server_no_context_takeover"), "malformed parameters"),
            (with("=1"), "malformed parameters"),
            (with("; unknown"), "malformed parameters"),
            (with("; client_max_window_bits"), "malformed parameters"),
            (with("; server_max_window_bits"), "malformed parameters"),
            (with("; client_max_window_bits=16"), "malformed parameters"),
            (with("; client_max_window_bits=7"), "malformed parameters"),
            (with(";"), "is malformed"),
            ("permessage-bzip2".to_string(), "not asked for"),
            (format!("{}, {}", with(""), with("")), "not asked for"),
        ] {
            let error = judged(&[&answer]).unwrap_err();
            assert!(error.contains(expected), "{answer}: {error}");
        }
        let unasked = check_answer([&b"permessage-deflate"[..]].into_iter(), false);
        assert!(unasked.unwrap_err().contains("not asked for"));
        assert_eq!(check_answer([].into_iter(), false), Ok(None));
    }
}
