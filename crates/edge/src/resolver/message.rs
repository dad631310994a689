//! A question and its answer in bytes: what `simple-dns` reads and writes, and what is believed of
//! it. An answer counts that has the question's number and repeats the question.

use std::{net::IpAddr, time::Duration};

use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE, rdata::RData};

use super::ResolveError;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

/// What a server says of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    /// Without addresses: the name to ask for instead.
    pub(super) alias: Option<String>,
    /// The shortest life of what it rests on; nothing rests on nothing.
    pub(super) life: Option<Duration>,
}

pub(super) enum Reply {
    Answer(Answer),
    /// It did not fit: the same question by TCP.
    Truncated,
    Failed(ResolveError),
    /// Not an answer to this question, or none that can be read: the true one may still come.
    Nonsense,
}

/// The fixed part of a message.
const HEADER: usize = 12;
/// The least that a question or a record takes.
const ENTRY: usize = 5;
const TRUNCATED: u8 = 2;

/// `None`: it is no name.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let class = QCLASS::CLASS(CLASS::IN);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.qtype(), class, false));
    packet.build_bytes_vec().ok()
}

pub(super) fn reply(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Reply {
    let [id_high, id_low, flags, ..] = *bytes else { return Reply::Nonsense };
    if u16::from_be_bytes([id_high, id_low]) != id || !has_room(bytes) {
        return Reply::Nonsense;
    }
    // What does not fit is cut off anywhere, so that the rest need not be whole.
    if flags & TRUNCATED != 0 {
        return Reply::Truncated;
    }
    let (Ok(packet), Ok(name)) = (Packet::parse(bytes), Name::new(name)) else {
        return Reply::Nonsense;
    };
    let same = |name: &Name<'_>, other: &Name<'_>| {
        name.to_string().eq_ignore_ascii_case(&other.to_string())
    };
    let asked = match &packet.questions[..] {
        [question] => question.qtype == kind.qtype() && same(&question.qname, &name),
        _ => false,
    };
    if !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return Reply::Nonsense;
    }
    match packet.rcode() {
        simple_dns::RCODE::NoError => Reply::Answer(Answer::read(&packet)),
        // As nginx: another server may understand the question.
        simple_dns::RCODE::FormatError => Reply::Nonsense,
        simple_dns::RCODE::NameError => Reply::Failed(ResolveError::NotFound),
        simple_dns::RCODE::NotImplemented => Reply::Failed(ResolveError::NotImplemented),
        simple_dns::RCODE::Refused => Reply::Failed(ResolveError::Refused),
        _ => Reply::Failed(ResolveError::Server),
    }
}

/// Whether as many entries can be there as the header says: room is made for what it says.
fn has_room(bytes: &[u8]) -> bool {
    let Some(counts) = bytes.get(4..HEADER) else { return false };
    let entries: usize =
        counts.chunks(2).map(|count| usize::from(u16::from_be_bytes([count[0], count[1]]))).sum();
    entries * ENTRY <= bytes.len() - HEADER
}

impl Kind {
    fn qtype(self) -> QTYPE {
        QTYPE::TYPE(match self {
            Kind::A => TYPE::A,
            Kind::Aaaa => TYPE::AAAA,
        })
    }
}

impl Answer {
    /// Every address counts, whichever name of the chain it belongs to.
    fn read(packet: &Packet<'_>) -> Answer {
        let mut answer = Answer::default();
        for record in packet.answers.iter().filter(|record| record.class == CLASS::IN) {
            match &record.rdata {
                RData::A(a) => answer.addresses.push(IpAddr::V4(a.address.into())),
                RData::AAAA(aaaa) => answer.addresses.push(IpAddr::V6(aaaa.address.into())),
                RData::CNAME(name) => answer.alias = Some(name.0.to_string()),
                _ => (),
            }
            answer.lives(Duration::from_secs(record.ttl.into()));
        }
        answer
    }

    pub(super) fn lives(&mut self, life: Duration) {
        self.life = Some(self.life.map_or(life, |known| known.min(life)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to [`question`] with these records, each `(type, ttl, data)`.
    fn answered(id: u16, name: &str, flags: u16, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = question(id, name, Kind::A).expect("it is a name");
        bytes[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
        bytes[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (kind, ttl, data) in records {
            bytes.extend_from_slice(&[0xc0, 12]);
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&[0, 1]);
            bytes.extend_from_slice(&ttl.to_be_bytes());
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    #[test]
    fn addresses_and_their_life() {
        let records: &[(u16, u32, &[u8])] = &[
            (5, 30, b"\x05alias\xc0\x0c"),
            (1, 60, &[127, 0, 0, 1]),
            (1, 90, &[127, 0, 0, 2]),
            (99, 7000, b"what this is nobody knows"),
        ];
        let Reply::Answer(answer) = reply(&answered(7, "a.b", 0, records), 7, "A.b", Kind::A)
        else {
            panic!("it is an answer")
        };
        assert_eq!(answer.addresses.len(), 2);
        assert_eq!(answer.alias.as_deref(), Some("alias.a.b"));
        assert_eq!(answer.life, Some(Duration::from_secs(30)));
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let bytes = answered(7, "a.b", 0, &[(1, 60, &[127, 0, 0, 1])]);
        let nonsense =
            |bytes: &[u8], id, name, kind| matches!(reply(bytes, id, name, kind), Reply::Nonsense);
        assert!(!nonsense(&bytes, 7, "a.b", Kind::A));
        assert!(nonsense(&bytes, 8, "a.b", Kind::A));
        assert!(nonsense(&bytes, 7, "a.c", Kind::A));
        assert!(nonsense(&bytes, 7, "a.b", Kind::Aaaa));
        let query = question(7, "a.b", Kind::A).expect("it is a name");
        assert!(nonsense(&query, 7, "a.b", Kind::A), "a question is no answer");
        for end in 0..bytes.len() {
            assert!(nonsense(&bytes[..end], 7, "a.b", Kind::A), "cut at {end}");
        }
        let mut many = bytes;
        many[6..12].fill(0xff);
        assert!(nonsense(&many, 7, "a.b", Kind::A), "more records than bytes");
    }

    #[test]
    fn what_is_cut_off_is_asked_for_again() {
        let bytes = answered(7, "a.b", 0x200, &[]);
        assert!(matches!(reply(&bytes, 7, "a.b", Kind::A), Reply::Truncated));
    }

    #[test]
    fn failures_have_names() {
        let failed = |code| match reply(&answered(7, "a.b", code, &[]), 7, "a.b", Kind::A) {
            Reply::Failed(error) => error,
            _ => panic!("{code} is a failure"),
        };
        assert_eq!(failed(2), ResolveError::Server);
        assert_eq!(failed(3), ResolveError::NotFound);
        assert_eq!(failed(5), ResolveError::Refused);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let mut bytes = bytes;
            if let Some(id) = bytes.get_mut(..2) {
                id.copy_from_slice(&[0, 7]);
            }
            let _any = reply(&bytes, 7, "a.b", Kind::A);
        }
    }
}
