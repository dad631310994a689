//! A toxic as it is ordered: Toxiproxy's five fields. What a type does stands in the file of its name.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{FaultError, toxics::Kind};

/// Which of a connection's two streams, named from the client's side as Toxiproxy names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the client to the server: requests.
    Upstream,
    /// From the server to the client: responses.
    Downstream,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Stream::Upstream => "upstream",
            Stream::Downstream => "downstream",
        }
    }

    fn read(text: &str) -> Result<Stream, FaultError> {
        match text.to_ascii_lowercase().as_str() {
            "upstream" => Ok(Stream::Upstream),
            "downstream" => Ok(Stream::Downstream),
            _ => Err(FaultError::Stream(text.to_owned())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Described")]
pub struct Toxic {
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    pub stream: Stream,
    /// The share of connections it touches: 0 is none of them, 1 is all.
    pub toxicity: f64,
}

impl Toxic {
    /// On the downstream of every connection, named `TYPE_downstream`: Toxiproxy's defaults.
    pub fn new(kind: Kind) -> Toxic {
        Toxic::on(Stream::Downstream, kind)
    }

    pub fn on(stream: Stream, kind: Kind) -> Toxic {
        let name = format!("{}_{}", kind.type_name(), stream.name());
        Toxic { name, kind, stream, toxicity: 1.0 }
    }

    pub fn named(mut self, name: &str) -> Toxic {
        name.clone_into(&mut self.name);
        self
    }

    pub fn toxicity(mut self, toxicity: f64) -> Toxic {
        self.toxicity = toxicity;
        self
    }

    pub(crate) fn checked(self) -> Result<Toxic, FaultError> {
        if !(0.0..=1.0).contains(&self.toxicity) {
            return Err(FaultError::Toxicity(self.toxicity));
        }
        let toxic = self.kind.type_name();
        let attribute = |reason| FaultError::Attribute { toxic: toxic.to_owned(), reason };
        self.kind.check().map_err(attribute)?;
        Ok(self)
    }

    /// The same toxic with what `change` names changed. Type, name and stream stay.
    pub(crate) fn changed(&self, change: Described) -> Result<Toxic, FaultError> {
        let same = |given: Option<String>, ours: &str| given.is_none_or(|given| given == ours);
        if !same(change.name, &self.name) {
            return Err(FaultError::Fixed("name"));
        }
        if !same(change.kind, self.kind.type_name()) {
            return Err(FaultError::Fixed("type"));
        }
        if !same(change.stream, self.stream.name()) {
            return Err(FaultError::Fixed("stream"));
        }
        let mut attributes = self.kind.attributes();
        attributes.extend(change.attributes.unwrap_or_default());
        let kind = Kind::read(self.kind.type_name(), attributes)?;
        let toxicity = change.toxicity.unwrap_or(self.toxicity);
        Toxic { kind, toxicity, ..self.clone() }.checked()
    }
}

/// A toxic as JSON describes it, with whatever is left out left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Described {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    stream: Option<String>,
    toxicity: Option<f64>,
    attributes: Option<Map<String, Value>>,
}

impl TryFrom<Described> for Toxic {
    type Error = FaultError;

    fn try_from(described: Described) -> Result<Toxic, FaultError> {
        let stream = described.stream.as_deref().map_or(Ok(Stream::Downstream), Stream::read)?;
        let kind = described.kind.unwrap_or_default();
        let kind = Kind::read(&kind, described.attributes.unwrap_or_default())?;
        let mut toxic = Toxic::on(stream, kind);
        if let Some(name) = described.name.filter(|name| !name.is_empty()) {
            toxic.name = name;
        }
        toxic.toxicity = described.toxicity.unwrap_or(1.0);
        toxic.checked()
    }
}

impl Kind {
    fn read(type_name: &str, attributes: Map<String, Value>) -> Result<Kind, FaultError> {
        if !Kind::TYPES.contains(&type_name) {
            return Err(FaultError::ToxicType(type_name.to_owned()));
        }
        let mut written = Map::new();
        written.insert("type".to_owned(), type_name.into());
        written.insert("attributes".to_owned(), attributes.into());
        serde_json::from_value(written.into()).map_err(|error| FaultError::Attribute {
            toxic: type_name.to_owned(),
            reason: error.to_string(),
        })
    }

    fn written(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(written)) => written,
            other => unreachable!("a toxic's attributes are written as an object: {other:?}"),
        }
    }

    pub(crate) fn attributes(&self) -> Map<String, Value> {
        match self.written().remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            other => unreachable!("a toxic's attributes are an object: {other:?}"),
        }
    }
}
