//! Character references of HTML: the numeric ones and the names of HTML 4 (W3C HTML 4.01 §24, WHATWG HTML §13.5).

use std::{collections::HashMap, sync::LazyLock};

/// The character that a text starting with `&` refers to, and the bytes of the reference.
pub fn decode(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    if let Some(number) = body.strip_prefix('#') {
        return decode_number(number).map(|(c, length)| (c, length + 2));
    }
    let length = body.bytes().take(LONGEST).take_while(u8::is_ascii_alphanumeric).count();
    if body[length..].starts_with(';')
        && let Some(named) = NAMED.get(&body[..length])
    {
        return Some((named.character, length + 2));
    }
    // Old names are known without a semicolon, even in front of other letters.
    (2..=length).rev().find_map(|length| {
        let named = NAMED.get(&body[..length]).filter(|named| named.legacy)?;
        Some((named.character, length + 1))
    })
}

/// After `&#`; the length leaves that out.
fn decode_number(text: &str) -> Option<(char, usize)> {
    let (digits, radix, prefix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 1),
        None => (text, 10, 0),
    };
    let count = digits.chars().take_while(|c| c.is_digit(radix)).count();
    if count == 0 {
        return None;
    }
    let code = u32::from_str_radix(&digits[..count], radix).unwrap_or(0);
    let code = match code {
        0x80..=0x9f => WINDOWS_1252[(code - 0x80) as usize],
        code => code,
    };
    let c = char::from_u32(code).filter(|&c| c != '\0').unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((c, prefix + count + usize::from(digits[count..].starts_with(';'))))
}

struct Named {
    character: char,
    legacy: bool,
}

static NAMED: LazyLock<HashMap<&'static str, Named>> = LazyLock::new(|| {
    let names = |list: &'static str, legacy| {
        list.split(',').filter_map(move |pair| {
            let (name, code) = pair.trim().split_once(' ')?;
            let character = char::from_u32(code.parse().ok()?)?;
            Some((name, Named { character, legacy }))
        })
    };
    names(LEGACY, true).chain(names(STRICT, false)).collect()
});

/// No name is longer, in bytes.
const LONGEST: usize = 8;

/// What the codes 128 to 159 were meant to be (WHATWG HTML §13.2.5.80).
const WINDOWS_1252: [u32; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d,
    0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
    0x17e, 0x178,
];

/// Known without a semicolon too.
const LEGACY: &str = "\
    AElig 198,AMP 38,Aacute 193,Acirc 194,Agrave 192,Aring 197,Atilde 195,Auml 196,COPY 169,Ccedil 199,\
    ETH 208,Eacute 201,Ecirc 202,Egrave 200,Euml 203,GT 62,Iacute 205,Icirc 206,Igrave 204,Iuml 207,\
    LT 60,Ntilde 209,Oacute 211,Ocirc 212,Ograve 210,Oslash 216,Otilde 213,Ouml 214,QUOT 34,REG 174,\
    THORN 222,Uacute 218,Ucirc 219,Ugrave 217,Uuml 220,Yacute 221,aacute 225,acirc 226,acute 180,\
    aelig 230,agrave 224,amp 38,aring 229,atilde 227,auml 228,brvbar 166,ccedil 231,cedil 184,cent 162,\
    copy 169,curren 164,deg 176,divide 247,eacute 233,ecirc 234,egrave 232,eth 240,euml 235,frac12 189,\
    frac14 188,frac34 190,gt 62,iacute 237,icirc 238,iexcl 161,igrave 236,iquest 191,iuml 239,laquo 171,\
    lt 60,macr 175,micro 181,middot 183,nbsp 160,not 172,ntilde 241,oacute 243,ocirc 244,ograve 242,\
    ordf 170,ordm 186,oslash 248,otilde 245,ouml 246,para 182,plusmn 177,pound 163,quot 34,raquo 187,\
    reg 174,sect 167,shy 173,sup1 185,sup2 178,sup3 179,szlig 223,thorn 254,times 215,uacute 250,\
    ucirc 251,ugrave 249,uml 168,uuml 252,yacute 253,yen 165,yuml 255";

/// Only with a semicolon.
const STRICT: &str = "\
    Alpha 913,Beta 914,Chi 935,Dagger 8225,Delta 916,Epsilon 917,Eta 919,Gamma 915,Iota 921,Kappa 922,\
    Lambda 923,Mu 924,Nu 925,OElig 338,Omega 937,Omicron 927,Phi 934,Pi 928,Prime 8243,Psi 936,Rho 929,\
    Scaron 352,Sigma 931,Tau 932,Theta 920,Upsilon 933,Xi 926,Yuml 376,Zeta 918,alefsym 8501,alpha 945,\
    and 8743,ang 8736,apos 39,asymp 8776,bdquo 8222,beta 946,bull 8226,cap 8745,chi 967,circ 710,\
    clubs 9827,cong 8773,crarr 8629,cup 8746,dArr 8659,dagger 8224,darr 8595,delta 948,diams 9830,\
    empty 8709,emsp 8195,ensp 8194,epsilon 949,equiv 8801,eta 951,euro 8364,exist 8707,fnof 402,\
    forall 8704,frasl 8260,gamma 947,ge 8805,hArr 8660,harr 8596,hearts 9829,hellip 8230,image 8465,\
    infin 8734,int 8747,iota 953,isin 8712,kappa 954,lArr 8656,lambda 955,lang 10216,larr 8592,\
    lceil 8968,ldquo 8220,le 8804,lfloor 8970,lowast 8727,loz 9674,lrm 8206,lsaquo 8249,lsquo 8216,\
    mdash 8212,minus 8722,mu 956,nabla 8711,ndash 8211,ne 8800,ni 8715,notin 8713,nsub 8836,nu 957,\
    oelig 339,oline 8254,omega 969,omicron 959,oplus 8853,or 8744,otimes 8855,part 8706,permil 8240,\
    perp 8869,phi 966,pi 960,piv 982,prime 8242,prod 8719,prop 8733,psi 968,rArr 8658,radic 8730,\
    rang 10217,rarr 8594,rceil 8969,rdquo 8221,real 8476,rfloor 8971,rho 961,rlm 8207,rsaquo 8250,\
    rsquo 8217,sbquo 8218,scaron 353,sdot 8901,sigma 963,sigmaf 962,sim 8764,spades 9824,sub 8834,\
    sube 8838,sum 8721,sup 8835,supe 8839,tau 964,there4 8756,theta 952,thetasym 977,thinsp 8201,\
    tilde 732,trade 8482,uArr 8657,uarr 8593,upsih 978,upsilon 965,weierp 8472,xi 958,zeta 950,zwj 8205,\
    zwnj 8204";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_decoded() {
        for (text, expected) in [
            ("&amp;", Some(('&', 5))),
            ("&amp", Some(('&', 4))),
            ("&notit;", Some(('¬', 4))),
            ("&hellip;", Some(('…', 8))),
            ("&hellip", None),
            ("&thetasym;", Some(('ϑ', 10))),
            ("&apos;", Some(('\'', 6))),
            ("&#65;", Some(('A', 5))),
            ("&#x1F600x", Some(('😀', 8))),
            ("&#150;", Some(('–', 6))),
            ("&#0;", Some(('\u{fffd}', 4))),
            ("&#99999999999;", Some(('\u{fffd}', 14))),
            ("&#;", None),
            ("&;", None),
            ("&", None),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
