//! Where an address is at home: what a record says, whoever made the file.

use std::sync::Arc;

use maxminddb::{LookupResult, MaxMindDbError, PathElement, path};

use super::code::{Code, Country};

/// Characters of a name that are kept.
const NAME: usize = 80;

/// Where an address is at home, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// Its country.
    pub country: Option<Country>,
    /// Its autonomous system.
    pub asn: Option<u32>,
    /// Whose that is: at most 80 characters of text from a file that anybody may have made.
    pub as_name: Option<Arc<str>>,
}

impl Home {
    /// What a record says. The country is that of the address, and where the file knows none of it,
    /// that in which it is registered.
    ///
    /// # Errors
    /// The file is damaged there.
    pub(super) fn read<S: AsRef<[u8]>>(
        record: &LookupResult<'_, S>,
    ) -> Result<Self, MaxMindDbError> {
        let text = |path: &[PathElement<'_>]| said(record.decode_path::<&str>(path));
        let country = [
            // GeoLite2, GeoIP2 and DB-IP; City has it too.
            text(&path!["country", "iso_code"])?,
            // IPinfo: first the files in which `country` is a name.
            text(&path!["country_code"])?,
            text(&path!["country"])?,
            text(&path!["registered_country", "iso_code"])?,
        ];
        let number = said(record.decode_path(&path!["autonomous_system_number"]))?;
        // IPinfo: `AS64500`.
        let code = match text(&path!["asn"])?.map(str::parse) {
            Some(Ok(Code::As(number))) => Some(number),
            _ => None,
        };
        let asn = number.or(code);
        let name = [
            text(&path!["autonomous_system_organization"])?,
            text(&path!["as_name"])?,
            text(&path!["name"])?,
        ];
        let mut name = name.into_iter().flatten();
        Ok(Self {
            country: country.into_iter().flatten().find_map(Country::new),
            // A `name` without a number is that of something else.
            as_name: asn.and_then(|_| name.next()).map(shortened),
            asn,
        })
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.country.is_none() && self.asn.is_none()
    }

    /// What selects it.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        let country = self.country.map(Code::Country);
        country.into_iter().chain(self.asn.map(Code::As))
    }
}

/// What is of another kind in this layout says nothing.
fn said<T>(found: Result<Option<T>, MaxMindDbError>) -> Result<Option<T>, MaxMindDbError> {
    match found {
        Err(MaxMindDbError::Decoding { .. }) => Ok(None),
        found => found,
    }
}

fn shortened(name: &str) -> Arc<str> {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => name[..end].into(),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::mmdb::{self, Shape, Tree, Value, map, text};

    /// What is found of an address whose record is this.
    fn read(record: Value) -> Home {
        let mut tree = Tree::new(Shape::default());
        let record = tree.record(&record);
        tree.insert("192.0.2.0/24".parse().expect("a network"), record);
        let reader = maxminddb::Reader::from_source(tree.bytes()).expect("a file");
        let address = "192.0.2.7".parse().expect("an address");
        let record = reader.lookup(address).expect("a whole file");
        Home::read(&record).expect("a whole record")
    }

    fn country(code: &str) -> Value {
        map(&[("geoname_id", Value::Uint32(7)), ("iso_code", text(code))])
    }

    fn found(record: Value) -> String {
        let home = read(record);
        let country = home.country.map(|country| country.to_string());
        let asn = home.asn.map(|asn| format!("AS{asn}"));
        let parts = [country, asn, home.as_name.map(|name| name.to_string())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_layout_is_read() {
        let names = map(&[("en", text("Germany"))]);
        let geolite = map(&[
            ("continent", map(&[("code", text("EU"))])),
            ("country", country("DE")),
            ("registered_country", country("FR")),
            ("subdivisions", Value::Array(vec![names])),
            ("location", map(&[("latitude", Value::Double(51.5))])),
        ]);
        assert_eq!(found(geolite), "DE");
        assert_eq!(found(mmdb::country("AT")), "AT");
        assert_eq!(found(map(&[("registered_country", country("FR"))])), "FR");
        assert_eq!(found(mmdb::system(64500, "Example")), "AS64500 Example");
        let ipinfo = map(&[
            ("asn", text("AS64501")),
            ("as_name", text("Example, Inc.")),
            ("country", text("AT")),
        ]);
        assert_eq!(found(ipinfo), "AT AS64501 Example, Inc.");
        let lite = map(&[
            ("country", text("Austria")),
            ("country_code", text("AT")),
            ("name", text("no system")),
        ]);
        assert_eq!(found(lite), "AT");
        let system = map(&[("asn", text("AS1")), ("name", text("One"))]);
        assert_eq!(found(system), "AS1 One");
    }

    #[test]
    fn what_makes_no_sense_is_unknown() {
        for record in [
            map(&[]),
            map(&[("country", country("de"))]),
            map(&[("country", text("Austria"))]),
            map(&[("asn", text("64500"))]),
            map(&[("asn", text("DE"))]),
            map(&[("country", Value::Uint32(276))]),
            map(&[("autonomous_system_number", text("AS1"))]),
            map(&[("is_anycast", Value::Bool(true))]),
            text("DE"),
            Value::Array(vec![country("DE")]),
        ] {
            assert!(read(record.clone()).is_empty(), "{record:?}");
        }
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        let named = |name: &str| {
            let system = [("asn", text("AS1")), ("as_name", text(name))];
            read(map(&system)).as_name.expect("a name")
        };
        assert_eq!(&*named(&"ä".repeat(80)), "ä".repeat(80));
        assert_eq!(&*named(&"ä".repeat(81)), "ä".repeat(80));
    }
}
